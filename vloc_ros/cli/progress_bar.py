"""The progress of a command on a terminal, or in a log: lines, and a bar with the time that is left."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from tqdm import tqdm

from vloc_ros.progress import Bar

BAR_FORMAT = "{desc:<12} {percentage:3.0f} % |{bar:24}| {elapsed} done, {remaining} left {postfix}"
SECONDS_BETWEEN_LINES = 0.5 if sys.stderr.isatty() else 30.0  # a log file wants fewer


class TerminalProgress:
    """A `vloc_ros.progress.Progress` on standard error; `enabled`: else it is as `Silent`. `leave`: finished bars stay
    to be seen."""

    def __init__(self, enabled: bool = True, leave: bool = True) -> None:
        self._enabled = enabled
        self._leave = leave

    def say(self, line: str) -> None:
        """A line clear of any bar."""
        if self._enabled:
            tqdm.write(line, file=sys.stderr)

    @contextmanager
    def bar(self, what: str, start: int = 0) -> Iterator[Bar]:
        """A bar whose estimate of the time left is from what was done since `start`."""
        with tqdm(
            desc=what,
            initial=start,
            bar_format=BAR_FORMAT,
            mininterval=SECONDS_BETWEEN_LINES,
            disable=not self._enabled,
            leave=self._leave,
        ) as display:

            def advance(done: int, total: int, note: str = "") -> None:
                display.total = total
                display.set_postfix_str(note, refresh=False)
                display.update(done - display.n)

            yield advance


def frame_bar() -> AbstractContextManager[Bar]:
    """How many frames are done: on a terminal only, and gone when all are."""
    return TerminalProgress(sys.stderr.isatty(), leave=False).bar("frames")
