"""What a task that takes its time tells of how far it is. Who asked for it decides what becomes of that."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int, int], None]  # advance(done, total)


class Bar(Protocol):
    """One part of a task, from nothing to all of it."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


class Progress(Protocol):
    """Where a task says what it does."""

    def say(self, line: str) -> None:
        """Tell the person something in one line."""
        ...

    def bar(self, what: str, start: int = 0) -> AbstractContextManager[Bar]:
        """Show how far a part of the task is, from `start` on."""
        ...


class Silent:
    """Progress that nobody looks at."""

    def say(self, line: str) -> None:
        pass

    @contextmanager
    def bar(self, what: str, start: int = 0) -> Iterator[Bar]:
        yield no_advance


def no_advance(done: int, total: int, note: str = "") -> None:
    """An `Advance`, and a Bar, that shows nothing."""
