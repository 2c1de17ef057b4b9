"""A drive through several places: in which of them the robot was when."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from vloc_ros.errors import DatasetError
from vloc_ros.files import write_text
from vloc_ros.geometry.stamps import format_stamp, parse_stamp
from vloc_ros.text_files import read_lines

COLUMNS = "stamp place"


@dataclass(frozen=True)
class PlaceTimes:
    """From each of the stamps on, which ascend, the robot was in the place of that row; before the first, in that of
    the first."""

    stamps_ns: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """Each once, in the order of the drive."""
        return tuple(dict.fromkeys(self.names))

    def at(self, stamp_ns: int) -> str:
        """Where the robot was at a stamp."""
        return self.names[max(0, bisect_right(self.stamps_ns, stamp_ns) - 1)]


def place_changes(places: Iterable[tuple[int, str]]) -> PlaceTimes:
    """Of the places at stamps, in their order."""
    seen: list[tuple[int, str]] = []
    for stamp_ns, name in places:
        if not seen or seen[-1][1] != name:
            seen.append((stamp_ns, name))
    stamps_ns, names = zip(*seen, strict=True)
    return PlaceTimes(stamps_ns, names)


def read_place_times(path: Path) -> PlaceTimes:
    """A file of COLUMNS, a change a line, the stamps in seconds. Raises DatasetError naming the line."""
    rows = []
    for number, words in read_lines(path):
        try:
            stamp, name = words
            rows.append((parse_stamp(stamp), name))
        except ValueError as error:
            raise DatasetError(f"{path}, line {number}: expected '{COLUMNS}', the stamp in seconds") from error
    if not rows:
        raise DatasetError(f"{path}: it has no line of '{COLUMNS}'")
    if wrong := [format_stamp(later) for (one, _), (later, _) in pairwise(rows) if later <= one]:
        raise DatasetError(f"{path}: the stamp {wrong[0]} is not later than the one before")
    stamps_ns, names = zip(*rows, strict=True)
    return PlaceTimes(stamps_ns, names)


def write_place_times(path: Path, times: PlaceTimes) -> None:
    """Raises ConfigError when it cannot be written."""
    rows = (f"{format_stamp(stamp_ns)} {name}" for stamp_ns, name in zip(times.stamps_ns, times.names, strict=True))
    write_text(path, "\n".join([f"# {COLUMNS}", *rows]) + "\n")
