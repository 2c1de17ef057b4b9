"""What every reader gives: a lazily decoded sequence of posed frames."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.query import Query, View
from vloc_ros.core.types import CameraImage
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import rigid_fault


@dataclass(frozen=True, eq=False)
class Frame:
    """One posed image. `map_from_camera` 4x4 float64, metres, camera x right, y down, z forward.

    `depth`: float32 (H, W) metres along z of this very camera, 0 = unknown, inf = the image shows nothing there; None
    when not asked for or not there. Where the camera is distorted, so are image and depth. `place`: which of several
    places with a map frame each it was taken in, "" where there is one place only. `others`: what the other cameras of
    a rig saw in the same moment, on a rig whose frame is the image's camera; `other_depths`: the depth of each of
    these, where it was asked for and is known; `cameras`: the names of all of them, the image's first. Raises
    DatasetError for a frame that is inconsistent.
    """

    name: str
    image: CameraImage
    map_from_camera: NDArray[np.float64]
    depth: NDArray[np.float32] | None = None
    place: str = ""
    others: tuple[View, ...] = ()
    other_depths: tuple[NDArray[np.float32], ...] = ()
    cameras: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if fault := rigid_fault(self.map_from_camera):
            raise DatasetError(f"{self.name}: its pose has {fault}")
        if self.depth is None:
            return
        camera = self.image.camera
        if self.depth.dtype != np.float32 or self.depth.shape != (camera.height, camera.width):
            raise DatasetError(
                f"{self.name}: depth is {self.depth.dtype} {self.depth.shape}, "
                f"expected float32 {(camera.height, camera.width)}"
            )

    @property
    def query(self) -> Query:
        """What a localizer is asked: the pose of the image's camera, from all views."""
        return Query((View(self.image), *self.others), self.image.stamp_ns)


class Dataset(Protocol):
    """The frames of one split in order. Cheap to make (only poses are read), safe to index from several threads."""

    @property
    def names(self) -> tuple[str, ...]:
        """Unique names of the frames, by index."""
        ...

    @property
    def has_depth(self) -> bool:
        """Whether depth was recorded. A single frame may still lack it: `frame` then says so."""
        ...

    def __len__(self) -> int: ...

    def place(self, index: int) -> str:
        """Which of several places one frame is of, as `Frame.place`."""
        ...

    def camera(self, index: int) -> Camera:
        """The camera of one frame, without decoding its image."""
        ...

    def map_from_camera(self, index: int) -> NDArray[np.float64]:
        """The pose (4, 4) of one frame, metres, without decoding its image."""
        ...

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        """Decode one frame, with its depth if `depth`. Raises DatasetError naming the file that is at fault,
        or when depth is asked for and there is none."""
        ...
