"""Training frames at network size on disk: decoded and labelled once, read through memory maps ever after."""

import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.cores import core_count
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import DatasetError
from vloc_ros.files import atomic_path, remove_partial, write_errors
from vloc_ros.geometry.camera import Camera
from vloc_ros.progress import Advance, no_advance
from vloc_ros.training.memory_maps import memory_map, require_room

FrameReader = Callable[[], Frame]  # decodes or renders one

FRAME_FILES = ("images.npy", "cells.npy", "cameras.npz", "names.json")  # in their directory
CELL_STRIDE = 2  # what cells show is kept at half the network's resolution: at least as fine as what it predicts


class FrameLabeller(Protocol):
    """What a method wants its network to say of a frame."""

    @property
    def kind(self) -> tuple[str, tuple[int, ...]]:
        """Element type and trailing shape of a cell: uint16, 0 for nothing, or float32, NaN for nothing."""
        ...

    def label(self, frame: Frame, width: int, height: int) -> NDArray[Any]:
        """Cells (height, width, ...) of the frame, undistorted. Raises DatasetError for one that cannot be used."""
        ...


@dataclass(frozen=True, eq=False)
class TrainingFrames:
    """N frames: images (N, H, W, 3) uint8 RGB, undistorted; cells (N, H/2, W/2, ...) as the method's labeller makes
    them; intrinsics (N, 4) fx fy cx cy of the images; map_from_camera (N, 4, 4) in the frame of its place, places (N,)
    int64 the number of that."""

    names: tuple[str, ...]
    images: NDArray[np.uint8]
    cells: NDArray[Any]
    intrinsics: NDArray[np.float64]
    map_from_camera: NDArray[np.float64]
    places: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def camera(self, index: int) -> Camera:
        """The camera of one image at network size."""
        height, width = self.images.shape[1:3]
        fx, fy, cx, cy = self.intrinsics[index].tolist()
        return Camera(width, height, fx, fy, cx, cy)


def build_frames(
    readers: Sequence[FrameReader],
    places: Sequence[str],
    labeller: FrameLabeller,
    width: int,
    height: int,
    directory: Path,
    advance: Advance = no_advance,
) -> TrainingFrames:
    """Read and label every frame into `directory`, all at once or not at all, and open it. `places` in the order of
    their numbers.

    Raises DatasetError for a frame that cannot be used, and when there is no room for them all; then nothing is left.
    """
    remove_partial(directory.parent)  # there may be no room for another
    with write_errors(directory, DatasetError), atomic_path(directory) as partial:
        partial.mkdir()
        _fill(partial, readers, places, labeller, width, height, advance)
    return open_frames(directory)


def _fill(
    directory: Path,
    readers: Sequence[FrameReader],
    places: Sequence[str],
    labeller: FrameLabeller,
    width: int,
    height: int,
    advance: Advance,
) -> None:
    count, (dtype, trailing) = len(readers), labeller.kind
    shapes = (count, height, width, 3), (count, height // CELL_STRIDE, width // CELL_STRIDE, *trailing)
    size = math.prod(shapes[0]) + math.prod(shapes[1]) * np.dtype(dtype).itemsize
    require_room(directory, size, "the training frames")
    images = memory_map(directory / "images.npy", np.dtype(np.uint8), shapes[0])
    cells = memory_map(directory / "cells.npy", np.dtype(dtype), shapes[1])
    intrinsics, poses, numbers = np.zeros((count, 4)), np.zeros((count, 4, 4)), np.zeros(count, dtype=np.int64)

    def prepare(index: int) -> str:
        frame = readers[index]()
        camera = frame.image.camera
        small = camera.undistorted().resized(width, height)
        intrinsics[index] = small.fx, small.fy, small.cx, small.cy
        images[index] = cv2.resize(camera.undistort(frame.image.rgb), (width, height), interpolation=cv2.INTER_AREA)
        cells[index] = labeller.label(frame, width // CELL_STRIDE, height // CELL_STRIDE)
        poses[index], numbers[index] = frame.map_from_camera, places.index(frame.place)
        return frame.name

    names = []
    with ThreadPoolExecutor(max_workers=core_count()) as pool:
        for done, name in enumerate(pool.map(prepare, range(count)), start=1):
            names.append(name)
            advance(done, count)
    np.savez(directory / "cameras.npz", intrinsics=intrinsics, map_from_camera=poses, places=numbers)
    (directory / "names.json").write_text(json.dumps(names))
    for array in (images, cells):
        array.flush()


def open_frames(directory: Path) -> TrainingFrames:
    """Open what `build_frames` wrote. Raises DatasetError if it is not all there."""
    try:
        with np.load(directory / "cameras.npz") as cameras:
            return TrainingFrames(
                names=tuple(json.loads((directory / "names.json").read_text())),
                images=np.load(directory / "images.npy", mmap_mode="r"),
                cells=np.load(directory / "cells.npy", mmap_mode="r"),
                intrinsics=cameras["intrinsics"],
                map_from_camera=cameras["map_from_camera"],
                places=cameras["places"],
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DatasetError(f"{directory}: training frames are missing ({error}); --fresh makes them anew") from error
