"""Trajectories in the TUM format: `stamp tx ty tz qx qy qz qw` a line, seconds and metres, # for comments."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from vloc_ros.core.transforms import Matrix, from_quaternion, to_quaternion
from vloc_ros.errors import DatasetError
from vloc_ros.evaluation.output import write_text

HEADER = "# stamp tx ty tz qx qy qz qw"


@dataclass(frozen=True)
class StampedPose:
    """A pose `map_from_camera` (4x4, metres) at a time in nanoseconds."""

    stamp_ns: int
    map_from_camera: Matrix


def write_tum(path: Path, poses: Sequence[StampedPose]) -> None:
    """Write a TUM file, stamps to the nanosecond. Raises ConfigError when it cannot be written."""
    write_text(path, "\n".join([HEADER, *map(to_line, poses)]) + "\n")


def read_tum(path: Path) -> list[StampedPose]:
    """Read a TUM file. Raises DatasetError naming the line that is at fault."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not a text file") from error
    poses = []
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                poses.append(from_line(line))
            except ValueError as error:
                raise DatasetError(f"{path}:{number}: {error}") from error
    return poses


def to_line(pose: StampedPose) -> str:
    """A line of a TUM file, without its end."""
    seconds, nanoseconds = divmod(pose.stamp_ns, 10**9)
    values = [*pose.map_from_camera[:3, 3], *to_quaternion(pose.map_from_camera[:3, :3])]
    return " ".join([f"{seconds}.{nanoseconds:09d}", *(f"{value:.9f}" for value in values)])


def from_line(line: str) -> StampedPose:
    """The inverse of `to_line`. Raises ValueError."""
    words = line.split()
    if len(words) != 8:
        raise ValueError(f"{len(words)} values instead of 8")
    numbers = np.array([float(word) for word in words])
    if not np.isfinite(numbers).all():
        raise ValueError("a value that is not finite")
    try:
        stamp_ns = int(Decimal(words[0]).scaleb(9))  # a float cannot hold today's time in nanoseconds
    except InvalidOperation as error:
        raise ValueError(f"stamp {words[0]!r} is not a number") from error
    return StampedPose(stamp_ns, from_quaternion(numbers[4:], numbers[1:4]))
