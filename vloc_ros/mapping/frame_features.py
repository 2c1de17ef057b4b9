"""The key points of all frames of a place in flat arrays, with the depth that was measured at each."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.core.prefetch import prefetch
from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import DatasetError
from vloc_ros.features.types import KeyPoints
from vloc_ros.geometry.camera import Camera
from vloc_ros.mapping.surface import undistort_depth
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]

AROUND_PX = 2  # depth is looked at so far around a key point, in pixels of the depth image
MAX_RELATIVE_STEP = 0.04  # depth that differs by more within that is at an edge: which side the key point is on is open
MIN_KNOWN_SHARE = 0.5  # of the pixels around
PREFETCHED = 8  # frames on the way


class FeatureSource(Protocol):
    """Key points of frames by index, such as `features.cache.FeatureCache`."""

    def __len__(self) -> int: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    def key_points(self, index: int) -> KeyPoints: ...


@dataclass(frozen=True, eq=False)
class FrameFeatures:
    """F frames and their N key points, those of frame i at rows starts[i] to starts[i + 1].

    names of the frames; recorded poses `map_from_camera` (F, 4, 4); the pinhole `camera` whose image the key points are
    of. pixels (N, 2) float64; depths (N,) float64, metres, 0 where unknown; descriptors (N, D) int8, 127 times the
    float; starts (F + 1,).
    """

    names: tuple[str, ...]
    map_from_camera: Float
    camera: Camera
    starts: NDArray[np.int64]
    pixels: Float
    depths: Float
    descriptors: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def frames(self) -> NDArray[np.int32]:
        """(N,) the frame of each key point."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.starts))

    @cached_property
    def intrinsics(self) -> Float:
        """fx, fy, cx, cy."""
        return np.array([self.camera.fx, self.camera.fy, self.camera.cx, self.camera.cy])

    @cached_property
    def rays(self) -> Float:
        """(N, 3) the point at depth 1 that each key point is the image of, in camera axes."""
        normalised = (self.pixels - self.intrinsics[2:]) / self.intrinsics[:2]
        return np.column_stack([normalised, np.ones(len(normalised))])


def scaled_camera(dataset: Dataset, size: tuple[int, int]) -> Camera:
    """The camera of all frames, without its distortion, of images scaled to width and height. Raises DatasetError where
    frames have different cameras."""
    cameras = [dataset.camera(index).undistorted().resized(*size) for index in range(len(dataset))]
    for name, camera in zip(dataset.names, cameras, strict=True):
        if camera != cameras[0]:
            raise DatasetError(f"points: frame '{name}' has another camera than '{dataset.names[0]}': {camera}")
    return cameras[0]


def read_frame_features(
    dataset: Dataset, features: FeatureSource, size: tuple[int, int], threads: int = 1, advance: Advance = no_advance
) -> FrameFeatures:
    """The key points of `features`, found in undistorted images of `size` (width, height), with the depth of the data
    set's frames where that is known. Raises DatasetError for a frame that cannot be read or has no key points at all.
    """
    if tuple(features.names) != tuple(dataset.names):
        raise DatasetError(f"points: features of {len(features)} frames do not belong to these {len(dataset)} frames")
    camera = scaled_camera(dataset, size)
    parts = []

    def read(index: int) -> tuple[KeyPoints, Float]:
        found = features.key_points(index)
        return found, _depths(dataset, index, found.pixels, camera)

    def indices() -> Iterator[int]:
        yield from range(len(dataset))

    for found, depths in prefetch(indices(), read, threads, PREFETCHED):
        parts.append((found.pixels, depths, quantized(found.descriptors)))
        advance(len(parts), len(dataset))
    pixels, depths, descriptors = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    starts = np.cumsum([0, *(len(part[0]) for part in parts)], dtype=np.int64)
    poses = np.stack([dataset.map_from_camera(index) for index in range(len(dataset))])
    return FrameFeatures(tuple(dataset.names), poses, camera, starts, pixels, depths, descriptors)


def quantized(descriptors: NDArray[np.float32]) -> NDArray[np.int8]:
    """127 times descriptors of length 1."""
    return np.asarray(np.rint(127 * descriptors).clip(-127, 127), dtype=np.int8)


def _depths(dataset: Dataset, index: int, pixels: Float, camera: Camera) -> Float:
    """The depth (N,) of a frame at pixels (N, 2) of `camera`'s image."""
    if not dataset.has_depth:
        return np.zeros(len(pixels))
    frame = dataset.frame(index, depth=True)
    if frame.depth is None:
        return np.zeros(len(pixels))
    depth = undistort_depth(frame.image.camera, frame.depth)
    scale = np.array([depth.shape[1] / camera.width, depth.shape[0] / camera.height])
    return depth_at_pixels(depth, (pixels + 0.5) * scale - 0.5)


def depth_at_pixels(depth: NDArray[np.float32], pixels: Float) -> Float:
    """The median depth (N,) around pixels (N, 2) of a depth image; 0 where too little is known of it, and at edges."""
    found = np.zeros(len(pixels))
    _median_depths(depth, np.rint(pixels).astype(np.int64), found)
    return found


@compiled()
def _median_depths(depth, pixels, found):  # type: ignore[no-untyped-def]
    height, width = depth.shape
    around = np.empty((2 * AROUND_PX + 1) ** 2)
    for row in range(len(pixels)):
        u, v, known = pixels[row, 0], pixels[row, 1], 0
        for y in range(max(v - AROUND_PX, 0), min(v + AROUND_PX + 1, height)):
            for x in range(max(u - AROUND_PX, 0), min(u + AROUND_PX + 1, width)):
                if 0 < depth[y, x] < np.inf:
                    around[known] = depth[y, x]
                    known += 1
        if known < MIN_KNOWN_SHARE * len(around):
            continue
        values = np.sort(around[:known])
        if values[-1] - values[0] < MAX_RELATIVE_STEP * values[known // 2]:
            found[row] = values[known // 2]
