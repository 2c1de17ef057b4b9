"""Training frames at network size on disk: decoded and labelled once, read through memory maps ever after."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.camera import Camera
from vloc_ros.datasets import Dataset
from vloc_ros.errors import DatasetError
from vloc_ros.mapping import Progress, no_progress
from vloc_ros.mapping.labels import Labeller

LABEL_STRIDE = 2  # labels are kept at half the network's resolution: twice as fine as what the network predicts


@dataclass(frozen=True, eq=False)
class TrainingFrames:
    """N frames: images (N, H, W, 3) uint8 RGB, undistorted; labels (N, H/2, W/2) uint16, 0 none, k landmark k - 1;
    intrinsics (N, 4) fx fy cx cy of the images; map_from_camera (N, 4, 4)."""

    names: tuple[str, ...]
    images: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    intrinsics: NDArray[np.float64]
    map_from_camera: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.names)

    def camera(self, index: int) -> Camera:
        """The camera of one image at network size."""
        height, width = self.images.shape[1:3]
        fx, fy, cx, cy = self.intrinsics[index].tolist()
        return Camera(width, height, fx, fy, cx, cy)


def build_frames(
    dataset: Dataset, labeller: Labeller, width: int, height: int, directory: Path, progress: Progress = no_progress
) -> TrainingFrames:
    """Decode and label every frame into `directory`, all at once or not at all, and open it.

    A data set without depth is labelled by rendering the surface. Raises DatasetError for a frame that cannot be used,
    and when there is no room for them all.
    """
    partial = directory.with_name(directory.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    count, label_size = len(dataset), (width // LABEL_STRIDE, height // LABEL_STRIDE)
    _require_room(partial, count * (3 * width * height + 2 * label_size[0] * label_size[1]))
    images = np.lib.format.open_memmap(partial / "images.npy", "w+", np.uint8, (count, height, width, 3))
    labels = np.lib.format.open_memmap(partial / "labels.npy", "w+", np.uint16, (count, *label_size[::-1]))
    intrinsics = np.zeros((count, 4))

    def prepare(index: int) -> None:
        frame = dataset.frame(index, depth=dataset.has_depth)
        camera = frame.image.camera
        small = camera.undistorted().resized(width, height)
        intrinsics[index] = small.fx, small.fy, small.cx, small.cy
        images[index] = cv2.resize(camera.undistort(frame.image.rgb), (width, height), interpolation=cv2.INTER_AREA)
        labels[index] = labeller.label(camera, frame.map_from_camera, frame.depth, *label_size)

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(prepare, range(count)), start=1):
            progress(done, count)
    poses = np.stack([dataset.map_from_camera(i) for i in range(count)])
    np.savez(partial / "cameras.npz", intrinsics=intrinsics, map_from_camera=poses)
    (partial / "names.json").write_text(json.dumps(dataset.names))
    for array in (images, labels):
        array.flush()
    shutil.rmtree(directory, ignore_errors=True)
    partial.rename(directory)
    return open_frames(directory)


def _require_room(directory: Path, size: int) -> None:
    """Writing to a memory map on a full disk kills the process, with no error that could be caught: ask before."""
    if size > (free := shutil.disk_usage(directory).free):
        raise DatasetError(f"{directory}: the training frames take {size / 1e9:.2f} GB, {free / 1e9:.2f} GB are free")


def open_frames(directory: Path) -> TrainingFrames:
    """Open what `build_frames` wrote. Raises DatasetError if it is not all there."""
    try:
        with np.load(directory / "cameras.npz") as cameras:
            return TrainingFrames(
                names=tuple(json.loads((directory / "names.json").read_text())),
                images=np.load(directory / "images.npy", mmap_mode="r"),
                labels=np.load(directory / "labels.npy", mmap_mode="r"),
                intrinsics=cameras["intrinsics"],
                map_from_camera=cameras["map_from_camera"],
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DatasetError(f"{directory}: training frames are missing ({error}); --fresh makes them anew") from error
