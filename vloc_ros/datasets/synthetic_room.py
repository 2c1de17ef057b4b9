"""Synthetic rooms: furnished rooms that are rendered on demand, with exact depth, as data sets without files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.query import View
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.drive import robot_extrinsics, turned_camera
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import invert
from vloc_ros.synthetic import paths
from vloc_ros.synthetic.faces import Faces, Lightmaps, Pyramids
from vloc_ros.synthetic.living_room import LIVING_ROOM
from vloc_ros.synthetic.office import OFFICE
from vloc_ros.synthetic.plan import RoomPlan
from vloc_ros.synthetic.render import render
from vloc_ros.synthetic.sensor import expose
from vloc_ros.text_files import read_words

Float = NDArray[np.float64]

CAMERA = Camera(640, 480, 525.0, 525.0, 319.5, 239.5)
_BUILDING = Lock()  # so that threads that all want the first frame wait for one room
DRIVE, DRIVE_FRAMES = "drive", 150  # of the ground robot
FRAME_INTERVAL_NS = 100_000_000  # 10 Hz
# Where cameras sit on the ground robot, as it has them all around: `front_from_camera`, by their names.
FRONT = "front"
RIG = {name: turned_camera(degrees) for name, degrees in ((FRONT, 0), ("left", -90), ("right", 90), ("rear", 180))}
SMALL_STRIDE = 17  # through the training frames, so that "small" looks in all directions


@dataclass(frozen=True, eq=False)
class SyntheticRoom:
    """A lit, textured room in the map frame, metres: x east, y north, z up, a corner of the floor at 0."""

    faces: Faces
    pyramids: Pyramids
    lightmaps: Lightmaps

    def render(self, camera: Camera, map_from_camera: Float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """RGB uint8 (H, W, 3) and exact z-depth float32 (H, W) in metres. Raises ConfigError for a distorted camera."""
        return render(self.faces, self.pyramids, self.lightmaps, camera, map_from_camera)

    def mesh(self) -> tuple[Float, NDArray[np.int64]]:
        """The surface that is rendered: vertices (V, 3) in metres, triangles (T, 3) facing the camera's side."""
        return self.faces.mesh()


@cache
def _built(plan: RoomPlan) -> SyntheticRoom:
    return SyntheticRoom(*plan.build())


def synthetic_room(plan: RoomPlan = LIVING_ROOM) -> SyntheticRoom:
    """The room of a plan; built (in a few seconds) once per process, always the same."""
    with _BUILDING:
        return _built(plan)


@dataclass(frozen=True, eq=False)
class RoomFrames:
    """A Dataset of frames rendered when asked for; `poses` (N, 4, 4) and `stamps_ns` (N,) are theirs. `cameras`: those
    of a rig, by name, as `RIG` has them; the frames' poses are of the first."""

    plan: RoomPlan
    names: tuple[str, ...]
    poses: Float
    stamps_ns: tuple[int, ...]
    intrinsics: Camera = CAMERA
    cameras: tuple[str, ...] = (FRONT,)

    @property
    def camera_names(self) -> tuple[str, ...]:
        return tuple(RIG)

    def with_cameras(self, names: Sequence[str]) -> "RoomFrames":
        """The same seen by these cameras of a rig that is where the front one was. Raises ConfigError."""
        if unknown := [name for name in names if name not in RIG]:
            raise ConfigError(f"{self.plan.name}: no camera '{unknown[0]}'; it has {', '.join(RIG)}")
        return replace(self, poses=self.poses @ RIG[names[0]], cameras=tuple(names))

    @property
    def others(self) -> tuple[RigCamera, ...]:
        """The rig's cameras but for the first, whose frame is the rig's."""
        first_from_front = invert(RIG[self.cameras[0]])
        return tuple(RigCamera(self.intrinsics, first_from_front @ RIG[name]) for name in self.cameras[1:])

    def __len__(self) -> int:
        return len(self.names)

    @property
    def has_depth(self) -> bool:
        return True

    @property
    def base_from_camera(self) -> Float | None:
        """Of the ground robot, if all frames are of its drive; None where somebody carried the camera."""
        driven = all(name.startswith(f"{DRIVE}/") for name in self.names)
        return robot_extrinsics(self.plan.drive) @ RIG[self.cameras[0]] if driven else None

    def place(self, index: int) -> str:
        return ""

    def camera(self, index: int) -> Camera:
        return self.intrinsics

    def map_from_camera(self, index: int) -> Float:
        return np.asarray(self.poses[index])

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        name, pose = self.names[index], self.poses[index]
        image, exact_depth = self._taken(index, self.cameras[0], pose)
        others = zip(self.cameras[1:], self.others, strict=True)
        taken = [self._taken(index, camera, each.map_from_camera(pose)) for camera, each in others]
        views = (View(seen, each.rig_from_camera) for (seen, _), each in zip(taken, self.others, strict=True))
        depths = tuple(depth_there for _, depth_there in taken) if depth else ()
        return Frame(
            name, image, pose, exact_depth if depth else None,
            others=tuple(views), other_depths=depths, cameras=self.cameras if taken else (),
        )  # fmt: skip

    def _taken(self, index: int, camera: str, pose: Float) -> tuple[CameraImage, NDArray[np.float32]]:
        """The image of one camera of the rig, and its exact depth."""
        rgb, depth = synthetic_room(self.plan).render(self.intrinsics, pose)
        name = self.names[index] if camera == FRONT else f"{self.names[index]}/{camera}"
        return CameraImage(expose(rgb, name), self.intrinsics, self.stamps_ns[index]), depth


@cache
def _paths(plan: RoomPlan) -> dict[str, Float]:
    return {
        "train": paths.mapping_poses(plan.walks),
        "test": paths.revisit_poses(plan.walks),
        DRIVE: plan.drive.poses(DRIVE_FRAMES),
    }


def _split_names(plan: RoomPlan, split: str) -> list[str]:
    splits = {path: [f"{path}/{index:06d}" for index in range(len(poses))] for path, poses in _paths(plan).items()}
    splits["all"] = splits["train"] + splits["test"]
    splits["small"] = splits["train"][::SMALL_STRIDE]
    if split in splits:
        return splits[split]
    path = Path(split)
    if not path.suffix and len(path.parts) == 1:
        raise DatasetError(
            f"{plan.name}: no split '{split}'; it has {', '.join(sorted(splits))}; or give a file of names"
        )
    names = read_words(path)
    known = set(splits["all"] + splits[DRIVE])
    if unknown := [name for name in names if name not in known]:
        raise DatasetError(f"{path}: {plan.name} has no frame '{unknown[0]}'")
    return names


def _open(plan: RoomPlan, root: Path | None, split: str, poses: Path | str | None) -> RoomFrames:
    if root is not None:
        raise ConfigError(f"{plan.name}: it has no files, so no root directory either; given is {root}")
    if poses is not None:
        raise ConfigError(f"{plan.name}: its poses are built in; given is {poses}")
    names = _split_names(plan, split)
    places = [(path, int(index)) for path, index in (name.split("/") for name in names)]
    return RoomFrames(
        plan=plan,
        names=tuple(names),
        poses=np.stack([_paths(plan)[path][index] for path, index in places]),
        stamps_ns=tuple(index * FRAME_INTERVAL_NS for _, index in places),
    )


def open_synthetic_room(root: Path | None, split: str, poses: Path | str | None = None) -> RoomFrames:
    """Open a split of the living room: "train" (400 frames), "test" (120, on paths of their own), "all" (both), "small"
    (24 of train), "drive" (150 of a ground robot at 10 Hz), or a file of frame names. Raises ConfigError when `root` or
    `poses` is given, for the room has no files, DatasetError for an unknown split."""
    return _open(LIVING_ROOM, root, split, poses)


def open_synthetic_office(root: Path | None, split: str, poses: Path | str | None = None) -> RoomFrames:
    """Open a split of the office, as `open_synthetic_room`."""
    return _open(OFFICE, root, split, poses)
