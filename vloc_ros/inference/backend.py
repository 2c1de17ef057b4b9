"""What every backend is told, and how it says that it cannot be used here."""

from collections.abc import Callable
from dataclasses import dataclass

from vloc_ros.core.model_spec import Precision
from vloc_ros.errors import ConfigError

MAX_THREADS = 256  # more take a minute to start, and no computer has use for them


class BackendUnavailableError(ConfigError):
    """A backend that cannot be used on this computer; the text says why."""


def silent(line: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class SessionSettings:
    """`precision`: of the arithmetic in the network file; `threads`: CPU threads of one inference, 0 = one per physical
    core; `max_batch`: images at once, at most; `say`: is told, line by line, what takes long.

    Raises ConfigError for numbers that make no sense.
    """

    precision: Precision = "float32"
    threads: int = 0
    max_batch: int = 1
    say: Callable[[str], None] = silent

    def __post_init__(self) -> None:
        if not 0 <= self.threads <= MAX_THREADS:
            raise ConfigError(f"threads is {self.threads}, must be 0 (one per core) to {MAX_THREADS}")
        if self.max_batch < 1:
            raise ConfigError(f"max_batch is {self.max_batch}, must be at least 1")
