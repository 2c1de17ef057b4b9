"""Threads that work on something: on the newest item of many, and on what somebody wants an answer of."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class NewestWins(Generic[T]):
    """Calls `handle` in a thread of its own with the newest item put; an older one still waiting is dropped.

    An exception in `handle` goes to `on_error`, and the thread goes on with the next item.
    """

    def __init__(self, name: str, handle: Callable[[T], None], on_error: Callable[[Exception], object]) -> None:
        self._handle, self._on_error = handle, on_error
        self._waiting: list[T] = []  # at most one
        self._changed = threading.Condition()
        self._closed = False
        self._dropped = 0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Items that newer ones replaced."""
        return self._dropped

    def put(self, item: T) -> bool:
        """Whether it may be worked on; not once this is closed. Never blocks."""
        with self._changed:
            self._dropped += len(self._waiting)
            self._waiting[:] = [item]
            self._changed.notify()
            return not self._closed

    def close(self, timeout_s: float = 2.0) -> None:
        """Forget what waits, and let what runs come to its end, for at most this time."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting)
                if self._closed:
                    return
                item = self._waiting.pop()
            try:
                self._handle(item)
            except Exception as error:
                self._on_error(error)
            del item  # it may be large, and the next one may never come


class Aside(Generic[T]):
    """Does one thing at a time in a thread of its own; whoever asks for the answer gets what was raised, too."""

    def __init__(self, name: str) -> None:
        self._worker = NewestWins(name, _answer, lambda _: None)

    def start(self, do: Callable[[], T]) -> Future[T] | None:
        """When what was started before is done; None once it is closed."""
        answer: Future[T] = Future()
        return answer if self._worker.put((do, answer)) else None

    def close(self, newest: Future[T] | None) -> None:
        """As that of NewestWins; `newest`: what was started last, for which nobody waits if it has not begun."""
        self._worker.close()
        if newest is not None:
            newest.cancel()


def _answer(asked: tuple[Callable[[], Any], Future[Any]]) -> None:
    do, answer = asked
    if answer.set_running_or_notify_cancel():
        try:
            answer.set_result(do())
        except BaseException as error:  # whatever it is, it belongs to who asked
            answer.set_exception(error)
