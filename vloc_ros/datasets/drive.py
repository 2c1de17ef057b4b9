"""A data set as a robot's drive: which images, where the robot truly was, and where its odometry believed it was."""

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol, runtime_checkable

import numpy as np

from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.transforms import Matrix, invert, rotation_angle
from vloc_ros.geometry.wide_angle import turned
from vloc_ros.synthetic.paths import DRIVE, Loop

MAP_FRAME, ODOM_FRAME, BASE_FRAME, CAMERA_FRAME = "map", "odom", "base_link", "camera_optical_frame"

# `base_from_camera` of a camera in the hand: x right, y down, z forward, in a base of x forward, y left, z up.
LOOKING_AHEAD = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
CAMERA_AHEAD_M = 0.15  # of the ground robot's centre
CARRIED_M, CARRIED_DEG = 0.5, 30.0  # from one image to the next no wheel goes farther: somebody carried the robot


@runtime_checkable
class HasExtrinsics(Protocol):
    """A data set that knows what carried its camera."""

    @property
    def base_from_camera(self) -> Matrix | None:
        """Of a robot's camera; None where no robot carried it."""
        ...


@dataclass(frozen=True)
class OdometryDrift:
    """What wheel odometry gets wrong at every step: distance and turns by a factor, and a pull to the left."""

    distance: float = 0.03
    turn: float = 0.03
    pull_deg_per_m: float = 2.5

    def scaled(self, factor: float) -> "OdometryDrift":
        """So many times as wrong."""
        return OdometryDrift(self.distance * factor, self.turn * factor, self.pull_deg_per_m * factor)


@dataclass(frozen=True, eq=False)
class Drive:
    """N steps: the data set's frame, and `map_from_base` and `odom_from_base`, both (N, 4, 4), metres.

    The robot was carried to the place of each of the steps in `kidnapped`, and its odometry did not notice.
    """

    frames: tuple[int, ...]
    map_from_base: Matrix
    odom_from_base: Matrix
    base_from_camera: Matrix
    kidnapped: frozenset[int]

    def __len__(self) -> int:
        return len(self.frames)


def plan_drive(
    dataset: Dataset, base_from_camera: Matrix, kidnap: bool = False, drift: OdometryDrift | None = None
) -> Drive:
    """All frames in order; with `kidnap` the middle third is left out. Raises DatasetError for less than two frames."""
    count = len(dataset)
    frames = [*range(count // 3), *range(2 * count // 3, count)] if kidnap else list(range(count))
    if len(frames) < 2:
        raise DatasetError(f"a drive needs at least 2 images, there are {len(frames)}")
    map_from_base = np.stack([dataset.map_from_camera(frame) for frame in frames]) @ invert(base_from_camera)
    kidnapped = kidnapped_steps(map_from_base)
    odometry = drifting_odometry(map_from_base, kidnapped, drift or OdometryDrift())
    return Drive(tuple(frames), map_from_base, odometry, base_from_camera, kidnapped)


def extrinsics_of(dataset: Dataset) -> Matrix:
    """`base_from_camera` as the data set says it; a camera of which nothing is said is in the hand."""
    said = dataset.base_from_camera if isinstance(dataset, HasExtrinsics) else None
    return LOOKING_AHEAD if said is None else said


def robot_extrinsics(drive: Loop = DRIVE) -> Matrix:
    """`base_from_camera` of the ground robot of the synthetic rooms on its drive: its base is on the floor."""
    down = -math.radians(drive.pitch)
    mount = np.eye(4)
    mount[0, :3] = math.cos(down), 0, math.sin(down)
    mount[2, :3] = -math.sin(down), 0, math.cos(down)
    mount[:3, 3] = CAMERA_AHEAD_M, 0, drive.height
    mounted: Matrix = mount @ LOOKING_AHEAD
    return mounted


def turned_camera(degrees: float) -> Matrix:
    """`front_from_camera` of a camera that sits as far from the ground robot's centre as the one in front, turned to
    the right by this."""
    out, back = np.eye(4), np.eye(4)
    out[2, 3], back[2, 3] = CAMERA_AHEAD_M, -CAMERA_AHEAD_M
    placed: Matrix = back @ turned(degrees) @ out
    return placed


def kidnapped_steps(map_from_base: Matrix) -> frozenset[int]:
    """The steps that are too far from the step before to have been driven."""

    def is_far(before: Matrix, after: Matrix) -> bool:
        turn = rotation_angle(before[:3, :3], after[:3, :3])
        return bool(np.linalg.norm(after[:3, 3] - before[:3, 3]) > CARRIED_M or math.degrees(turn) > CARRIED_DEG)

    return frozenset(k for k in range(1, len(map_from_base)) if is_far(map_from_base[k - 1], map_from_base[k]))


def drifting_odometry(map_from_base: Matrix, kidnapped: frozenset[int], drift: OdometryDrift) -> Matrix:
    """`odom_from_base` (N, 4, 4), the identity at first; while the robot is carried, its wheels go on as before."""
    steps = invert(map_from_base[:-1]) @ map_from_base[1:]
    for k in sorted(kidnapped):
        steps[k - 1] = steps[k - 2] if k > 1 else np.eye(4)
    measured = [_measured(step, drift) for step in steps]
    return np.stack(list(accumulate(measured, np.matmul, initial=np.eye(4))))


def _measured(step: Matrix, drift: OdometryDrift) -> Matrix:
    """A step as the odometry measures it."""
    turn = math.atan2(step[1, 0], step[0, 0])
    extra = drift.turn * turn + math.radians(drift.pull_deg_per_m) * float(np.linalg.norm(step[:3, 3]))
    turned = np.eye(4)
    turned[:2, :2] = [[math.cos(extra), -math.sin(extra)], [math.sin(extra), math.cos(extra)]]
    measured: Matrix = turned @ step
    measured[:3, 3] = step[:3, 3] * (1 + drift.distance)
    return measured
