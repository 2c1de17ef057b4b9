"""Threads that work on something: on the newest item of many, and on what somebody wants an answer of."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

T = TypeVar("T")
CLOSE_S = 2.0  # for what runs to come to its end: a GPU may hang


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

    def put(self, item: T) -> None:
        """Never blocks."""
        with self._changed:
            self._dropped += len(self._waiting)
            self._waiting[:] = [item]
            self._changed.notify()

    def close(self, timeout_s: float = CLOSE_S) -> None:
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
    """Does one thing after the other in a thread of its own; whoever asks for the answer gets what was raised, too."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, name)
        self._newest: Future[T] | None = None

    def start(self, do: Callable[[], T]) -> Future[T] | None:
        """None once it is closed. One thread calls."""
        try:
            self._newest = self._executor.submit(do)
        except RuntimeError:  # which says that
            return None
        return self._newest

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Let what was started come to its end, for at most this time. Any thread may call."""
        self._executor.shutdown(wait=False)
        if self._newest is not None:
            wait([self._newest], timeout_s)
