"""Tasks that workers run in tests."""

import os
from pathlib import Path

from vloc_ros.errors import ConfigError


def halved(number: int) -> float:
    if number < 0:
        raise ConfigError(f"{number} is negative")
    return number / 2


def cores(_: int) -> str:
    return os.environ.get("VLOC_CORES", "")


def fails_at_first(marker: Path) -> str:
    """Ends its process in a way that nobody expects, but only once."""
    if not marker.exists():
        marker.touch()
        raise RuntimeError("the first time")
    return "done"


def always_fails(_: int) -> None:
    raise RuntimeError("never\nagain")
