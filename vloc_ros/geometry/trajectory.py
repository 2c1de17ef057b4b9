"""Trajectories in the TUM format: a stamp and POSE_COLUMNS a line, seconds and metres, # for comments."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vloc_ros.errors import DatasetError
from vloc_ros.files import write_text
from vloc_ros.geometry.stamps import format_stamp, parse_stamp
from vloc_ros.geometry.transforms import POSE_COLUMNS, Matrix, from_pose_vector, pose_vector
from vloc_ros.text_files import comma_hint, read_lines

HEADER = f"# stamp {POSE_COLUMNS}"
MAX_LENGTH_OFF = 0.05  # of a quaternion: that is more than rounding


@dataclass(frozen=True)
class StampedPose:
    """A pose `map_from_camera` (4x4, metres) at a time in nanoseconds."""

    stamp_ns: int
    map_from_camera: Matrix


def write_tum(path: Path, poses: Sequence[StampedPose]) -> None:
    """Write a TUM file, stamps to the nanosecond. Raises ConfigError when it cannot be written."""
    write_text(path, "\n".join([HEADER, *map(to_tum_line, poses)]) + "\n")


def read_tum(path: Path) -> list[StampedPose]:
    """Read a TUM file. Raises DatasetError naming the line that is at fault."""
    poses = []
    for number, words in read_lines(path):
        try:
            poses.append(from_tum_line(" ".join(words)))
        except ValueError as error:
            raise DatasetError(f"{path}, line {number}: {error}") from error
    return poses


def to_tum_line(pose: StampedPose) -> str:
    """A line of a TUM file, without its end."""
    return " ".join([format_stamp(pose.stamp_ns), *(f"{value:.9f}" for value in pose_vector(pose.map_from_camera))])


def from_tum_line(line: str) -> StampedPose:
    """The inverse of `to_tum_line`. Raises ValueError."""
    words = line.split()
    if len(words) != 8:
        raise ValueError(f"{len(words)} values instead of 8{comma_hint(line)}")
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError as error:
        raise ValueError(f"{error}{comma_hint(line)}") from error
    if not np.isfinite(numbers).all():
        raise ValueError("a value that is not finite")
    pose = StampedPose(parse_stamp(words[0]), from_pose_vector(numbers[1:]))
    if abs((length := float(np.linalg.norm(numbers[4:]))) - 1) > MAX_LENGTH_OFF:
        raise ValueError(f"the quaternion has length {length:.3g} instead of 1: are the columns stamp {POSE_COLUMNS}?")
    return pose
