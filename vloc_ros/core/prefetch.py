"""Work that is done in threads while the caller uses what came before."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetch(items: Iterator[T], work: Callable[[T], R], threads: int, window: int) -> Generator[R, None, None]:
    """`work(item)` of each item in order, done in `threads` while the caller uses what came before.

    One more thread takes the items; no more than `window` items are on the way. An error is raised where its item would
    have come.
    """
    end: Any = object()

    def done(taken: "Future[Any]") -> Any:
        item = taken.result()
        return end if item is end else work(item)

    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(threads, "work") as workers:

        def begin() -> "Future[Any]":
            return workers.submit(done, reader.submit(next, items, end))

        waiting = deque(begin() for _ in range(window))
        while (result := waiting.popleft().result()) is not end:
            waiting.append(begin())
            yield result
