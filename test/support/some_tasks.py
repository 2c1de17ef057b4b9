"""Tasks that workers run in tests."""

import os
import resource
from pathlib import Path

import numpy as np

from vloc_ros.errors import ConfigError


def halved(number: int) -> float:
    if number < 0:
        raise ConfigError(f"{number} is negative")
    return number / 2


def cores(_: int) -> str:
    return os.environ.get("VLOC_CORES", "")


def new_pages(arrays: int) -> int:
    """Pages that the system makes for so many arrays of 1 MB, one after the other."""
    np.ones(1 << 20, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(arrays):
        np.ones(1 << 20, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def fails_at_first(marker: Path) -> str:
    """Ends its process in a way that nobody expects, but only once."""
    if not marker.exists():
        marker.touch()
        raise RuntimeError("the first time")
    return "done"


def always_fails(_: int) -> None:
    raise RuntimeError("never\nagain")
