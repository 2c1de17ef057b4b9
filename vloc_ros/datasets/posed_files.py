"""Posed images in files: what the readers of image directories return."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.dataset_files import check_size, read_image
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.camera import Camera

DepthReader = Callable[[Path, Camera], NDArray[np.float32]]


def find_file(base: Path, endings: tuple[str, ...]) -> Path | None:
    """The first of base + ending, in small letters or in capitals, that is there."""
    for ending in (*endings, *map(str.upper, endings)):
        if (path := base.with_name(base.name + ending)).is_file():
            return path
    return None


def find_image(base: Path, endings: tuple[str, ...]) -> Path:
    """The image of a frame: `find_file`. Raises DatasetError."""
    if path := find_file(base, endings):
        return path
    if base.suffix.lower() in endings and base.is_file():
        raise DatasetError(f"{base}: frames are named without an ending, here '{base.stem}', not '{base.name}'")
    raise DatasetError(f"{base}: there is no image with this name and {' or '.join(endings)}")


@dataclass(frozen=True, eq=False)
class DepthCamera:
    """A camera of its own that depth was recorded with: its lens, `color_from_depth` (4, 4), and what reads its files,
    metres, 0 = unknown."""

    camera: Camera
    color_from_depth: NDArray[np.float64]
    read: Callable[[Path], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class PosedFiles:
    """A Dataset of image and depth files, decoded when asked for; poses and cameras are in memory.

    `read_camera_depth(path, camera)` gives the depth (H, W) in that camera, metres, 0 = unknown. `depth_camera`: what
    recorded the depth, where that is another camera.
    """

    names: tuple[str, ...]
    cameras: tuple[Camera, ...]
    poses: tuple[NDArray[np.float64], ...]
    images: tuple[Path, ...]
    depths: tuple[Path, ...]
    read_camera_depth: DepthReader
    depth_camera: DepthCamera | None = None

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def has_depth(self) -> bool:
        return any(path.is_file() for path in self.depths)

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
        rgb = read_image(self.images[index])
        check_size(self.images[index], rgb, camera.width, camera.height)
        return Frame(
            name=self.names[index],
            image=CameraImage(rgb, camera),
            map_from_camera=self.poses[index],
            depth=self.read_camera_depth(self.depths[index], camera) if depth else None,
        )
