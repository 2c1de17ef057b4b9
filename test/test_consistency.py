"""Poses and depth that contradict each other are found, and the fault is named; what agrees is let through."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from support.mapping_scenes import WallAndBox, looking_at

from vloc_ros.datasets import open_dataset
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.transforms import from_quaternion, invert, to_quaternion
from vloc_ros.mapping.consistency import FROM_BODY, FROM_OPENGL, find_fault, require_consistent
from vloc_ros.mapping.depth_views import DepthView, read_depth_views

DEPTH_PX = 10  # of the small depth images: 40 of the room's


@dataclass(frozen=True)
class Recorded:
    """A recording that can be spoilt: views and the poses (N, 4, 4) of all frames."""

    views: tuple[DepthView, ...]
    poses: np.ndarray

    def posed(self, change: Callable[[np.ndarray], np.ndarray]) -> "Recorded":
        poses = np.array([change(pose) for pose in self.poses])
        return Recorded(tuple(replace(v, map_from_camera=poses[v.index]) for v in self.views), poses)

    def late(self, frames: int) -> "Recorded":
        """Each frame with the pose of the one so many before it."""
        poses = self.poses[(np.arange(len(self.poses)) - frames).clip(0, len(self.poses) - 1)]
        return Recorded(tuple(replace(v, map_from_camera=poses[v.index]) for v in self.views), poses)

    def sensed(self, change: Callable[[DepthView], np.ndarray]) -> "Recorded":
        return replace(self, views=tuple(replace(v, depth=change(v).astype(np.float32)) for v in self.views))

    @property
    def fault(self) -> str | None:
        return find_fault(self.views, self.poses)


def recorded(kind: str, root: Path | None, split: str, poses: Path | None = None) -> Recorded:
    dataset = open_dataset(kind, root, split, poses)
    views = tuple(read_depth_views(dataset))
    return Recorded(views, np.stack([dataset.map_from_camera(index) for index in range(len(dataset))]))


@pytest.fixture(scope="module")
def room() -> Recorded:
    return recorded("synthetic_room", None, "small")


def transposed(pose: np.ndarray) -> np.ndarray:
    turned: np.ndarray = pose.copy()
    turned[:3, :3] = pose[:3, :3].T
    return turned


def read_with_w_last(pose: np.ndarray) -> np.ndarray:
    """A quaternion that was written with w first."""
    x, y, z, w = to_quaternion(pose[:3, :3])
    return from_quaternion((w, x, y, z), pose[:3, 3])


def in_millimetres(pose: np.ndarray) -> np.ndarray:
    far: np.ndarray = pose.copy()
    far[:3, 3] *= 1000
    return far


def zoomed(view: DepthView, zoom: float) -> np.ndarray:
    """As a camera of longer or shorter focal length has it."""
    height, width = view.depth.shape
    rows, columns = np.indices((height, width))
    y = ((rows - view.camera.cy) / zoom + view.camera.cy).round().astype(int)
    x = ((columns - view.camera.cx) / zoom + view.camera.cx).round().astype(int)
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return np.where(inside, view.depth[y.clip(0, height - 1), x.clip(0, width - 1)], 0)


def aside(view: DepthView) -> np.ndarray:
    """Moved to the right."""
    return np.pad(view.depth, ((0, 0), (DEPTH_PX, 0)))[:, :-DEPTH_PX]


FAULTS: dict[str, tuple[Callable[[Recorded], Recorded], str]] = {
    "OpenGL": (lambda room: room.posed(lambda pose: pose @ FROM_OPENGL), "axes are those of OpenGL"),
    "body": (lambda room: room.posed(lambda pose: pose @ np.linalg.inv(FROM_BODY)), "camera's body"),
    "inverse": (lambda room: room.posed(invert), "poses are world-to-camera and must be camera-to-world$"),
    "inverse, OpenGL": (lambda room: room.posed(lambda pose: invert(pose @ FROM_OPENGL)), "world-to-camera.*OpenGL"),
    "rotation": (lambda room: room.posed(transposed), "the rotations are world-to-camera"),
    "quaternion": (lambda room: room.posed(read_with_w_last), "w first"),
    "poses in mm": (lambda room: room.posed(in_millimetres), "positions of the poses are 1000 times too large"),
    "depth in mm": (lambda room: room.sensed(lambda view: 1000 * view.depth), "depth is 1000 times too large"),
    "depth in m": (lambda room: room.sensed(lambda view: view.depth / 1000), "depth is 1000 times too small"),
    "depth in 0.1 mm": (lambda room: room.sensed(lambda view: 10 * view.depth), "depth is 10 times too large"),
    "depth of TUM": (lambda room: room.sensed(lambda view: 5 * view.depth), "depth is 5 times too large"),
    "shifted": (lambda room: room.sensed(aside), r"by \+(3[5-9]|4[0-5]), [+-][0-5] pixels and (0.9|1.0)"),
    "zoomed": (lambda room: room.sensed(lambda v: zoomed(v, 1.15)), r"and 1.1[3-7] times as large: it must"),
    "late": (lambda room: room.late(2), "pose of about 2 frames before it"),
    "early": (lambda room: room.late(-3), "pose of about 3 frames after it"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_named(room: Recorded, name: str) -> None:
    spoil, expected = FAULTS[name]
    fault = spoil(room).fault
    assert fault is not None
    named = fault.partition(" if ")[2]
    assert named, fault
    assert re.search(expected, named), fault


def test_poses_and_depth_that_agree_are_let_through(room: Recorded) -> None:
    assert room.fault is None


def test_what_nothing_explains_is_refused_too(room: Recorded) -> None:
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(len(room.poses))
    poses = room.poses[shuffled]
    fault = Recorded(tuple(replace(v, map_from_camera=poses[v.index]) for v in room.views), poses).fault
    assert fault is not None
    assert "no other axes" in fault


def test_the_error_says_where_and_how_much(room: Recorded) -> None:
    spoilt = room.posed(lambda pose: pose @ FROM_OPENGL)
    with pytest.raises(DatasetError) as error:
        require_consistent(spoilt.views, spoilt.poses, "office/poses.txt")
    message = str(error.value)
    assert message.startswith("office/poses.txt: poses and depth contradict each other")
    assert "\n" not in message
    before, after = (float(part.split("%")[0].split()[-1]) for part in message.split(" is ")[1:3])
    assert before > 10 > 1 > after


@pytest.mark.parametrize(
    "poses",
    [(), tuple(looking_at((x, -0.5, 0.0), (x, 2.0, 0.0)) for x in (-0.1, 0.1)),
     tuple(np.diag([-1.0, -1.0, 1.0, 1.0]) @ looking_at((x, -0.5, 0.0), (x, 2.0, 0.0)) for x in (-0.1, 0.0, 0.1))],
    ids=["nothing", "two frames", "no depth seen"],
)  # fmt: skip
def test_too_little_to_tell_is_no_fault(poses: tuple[np.ndarray, ...]) -> None:
    dataset = WallAndBox(poses)
    views = read_depth_views(dataset) if poses else []
    assert find_fault(views, np.array(poses).reshape(-1, 4, 4)) is None


def test_noise_and_bias_of_a_sensor_are_no_contradiction() -> None:
    angles = np.linspace(-0.8, 0.8, 30)
    poses = tuple(looking_at((1.8 * np.sin(a), 1.6 - 2.0 * np.cos(a), 0.0), (0, 1.7, 0)) for a in angles)
    views = read_depth_views(WallAndBox(poses, noise=0.01))
    biased = [replace(view, depth=view.depth * np.float32(1.02)) for view in views]
    assert find_fault(biased, np.array(poses)) is None


REAL = {
    "redkitchen": ("seven_scenes", "train", "poses_sfm.txt"),
    "redkitchen, KinectFusion": ("seven_scenes", "train", None),
    "hololens": ("folder", "train", None),
    "corridor": ("folder", "train", None),
}


@pytest.mark.parametrize("name", REAL)
def test_real_recordings_are_let_through_and_their_faults_are_found(name: str, shared_data: Path) -> None:
    root = shared_data / name.partition(",")[0]
    kind, split, poses = REAL[name]
    data = recorded(kind, root, split, None if poses is None else root / poses)
    assert data.fault is None
    for fault in ("OpenGL", "inverse", "poses in mm", "depth in 0.1 mm"):
        spoil, expected = FAULTS[fault]
        found = spoil(data).fault
        assert found is not None
        assert re.search(expected, found), found
