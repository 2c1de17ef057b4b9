"""Posed images in files: what the readers of image directories return."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.query import View
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.dataset_files import check_size, read_image
from vloc_ros.datasets.subset import Subset
from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.datasets.wrapper import DatasetWrapper
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.rig import RigCamera

NAMED = 3  # of files that are missing

DepthReader = Callable[[Path, Camera], NDArray[np.float32]]


def find_file(base: Path, endings: tuple[str, ...]) -> Path | None:
    """The first of base + ending, in small letters or in capitals, that is there."""
    for ending in (*endings, *map(str.upper, endings)):
        if (path := base.with_name(base.name + ending)).is_file():
            return path
    return None


def find_images(bases: Sequence[Path], endings: tuple[str, ...]) -> tuple[Path, ...]:
    """The image of each frame: `find_file`. Raises DatasetError that says how many are missing, and the first ones."""
    found = [find_file(base, endings) for base in bases]
    if missing := [base for base, path in zip(bases, found, strict=True) if path is None]:
        base = missing[0]
        if base.suffix.lower() in endings and base.is_file():
            raise DatasetError(f"{base}: frames are named without an ending, here '{base.stem}', not '{base.name}'")
        where = str(base) if len(missing) == 1 else some_of(missing, len(bases), "images")
        raise DatasetError(f"{where}: there is no image with this name and {' or '.join(endings)}")
    return tuple(path for path in found if path is not None)


def some_of(missing: Sequence[Path], count: int, what: str) -> str:
    """How many of so many files, and the first of them, for a line on files that are missing."""
    first = ", ".join(map(str, missing[:NAMED]))
    return f"{len(missing)} of {count} {what}, {first}{', ...' if len(missing) > NAMED else ''}"


@dataclass(frozen=True, eq=False)
class DepthCamera:
    """A camera of its own that depth was recorded with: its lens, `color_from_depth` (4, 4), and what reads its files,
    metres, 0 = unknown."""

    camera: Camera
    color_from_depth: NDArray[np.float64]
    read: Callable[[Path], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class RigFiles:
    """Another camera of a rig: where it sits on that, and its images (N,), those of the frames in their order."""

    camera: RigCamera
    images: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class PosedFiles:
    """A Dataset of image and depth files, decoded when asked for; poses and cameras are in memory.

    `read_camera_depth(path, camera)` gives the depth (H, W) in that camera, metres, 0 = unknown. `depth_camera`: what
    recorded the depth, where that is another camera. `rig`: what reads other cameras, by name, which `with_cameras`
    adds to that of the frames, the `leading` one; frames are then `seen_by` all of these. Raises DatasetError for
    images that are missing.
    """

    names: tuple[str, ...]
    cameras: tuple[Camera, ...]
    poses: tuple[NDArray[np.float64], ...]
    images: tuple[Path, ...]
    depths: tuple[Path, ...]
    read_camera_depth: DepthReader
    depth_camera: DepthCamera | None = None
    leading: str = ""
    rig: Mapping[str, Callable[[], RigFiles]] = field(default_factory=dict)
    others: tuple[RigFiles, ...] = ()
    seen_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if missing := [path for path in self.images if not path.is_file()]:
            raise DatasetError(f"{some_of(missing, len(self), 'images')}: no such file")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def has_depth(self) -> bool:
        return any(path.is_file() for path in self.depths)

    @property
    def camera_names(self) -> tuple[str, ...]:
        return (self.leading, *self.rig)

    def with_cameras(self, names: Sequence[str]) -> "PosedFiles":
        """The same with the views of other cameras of the rig. Raises ConfigError, and DatasetError for images that are
        missing."""
        if unknown := [name for name in names if name not in self.camera_names]:
            raise ConfigError(f"no camera '{unknown[0]}'; there are {', '.join(self.camera_names)}")
        if names[0] != self.leading:
            raise ConfigError(f"cameras {', '.join(names)}: the first must be {self.leading}, whose poses are known")
        others = tuple(self.rig[name]() for name in names[1:])
        if missing := [path for other in others for path in other.images if not path.is_file()]:
            raise DatasetError(f"{some_of(missing, len(self), 'images')}: no such file")
        return replace(self, others=others, seen_by=tuple(names) if others else ())

    def place(self, index: int) -> str:
        return ""

    def camera(self, index: int) -> Camera:
        return self.cameras[index]

    def map_from_camera(self, index: int) -> NDArray[np.float64]:
        return self.poses[index]

    def recorded_depth(self, index: int) -> NDArray[np.float32]:
        """The depth of a frame as `depth_camera` saw it. Raises DatasetError."""
        if self.depth_camera is None:
            raise DatasetError(f"{self.depths[index]}: its depth is registered, it has no camera of its own")
        return self.depth_camera.read(self.depths[index])

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        camera = self.cameras[index]
        others = (
            View(_image(each.images[index], each.camera.camera), each.camera.rig_from_camera) for each in self.others
        )
        return Frame(
            name=self.names[index],
            image=_image(self.images[index], camera),
            map_from_camera=self.poses[index],
            depth=self.read_camera_depth(self.depths[index], camera) if depth else None,
            others=tuple(others),
            cameras=self.seen_by,
        )


def _image(path: Path, camera: Camera) -> CameraImage:
    rgb = read_image(path)
    check_size(path, rgb, camera.width, camera.height)
    return CameraImage(rgb, camera)


def require_depth_of(frames: Subset) -> None:
    """Raise DatasetError where some frames have no file of depth, of a data set that has depth and is one of files."""
    files: Dataset = frames.parent
    while isinstance(files, DatasetWrapper):
        files = files.parent
    if not isinstance(files, PosedFiles) or not files.has_depth:
        return
    depths = [files.depths[index] for index in frames.indices]
    if missing := [path for path in depths if not path.is_file()]:
        raise DatasetError(f"{some_of(missing, len(depths), 'frames have no depth')}: no such file")
