"""The key points of all frames of a place in flat arrays, with the depth that was measured at each."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import DatasetError
from vloc_ros.features.types import KeyPoints
from vloc_ros.geometry.camera import Camera
from vloc_ros.mapping.depth_calibration import DepthCorrection
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]


class FeatureSource(Protocol):
    """Key points of frames by index, such as `features.cache.FeatureCache`."""

    def __len__(self) -> int: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    def key_points(self, index: int) -> KeyPoints: ...


class DepthFeatures(FeatureSource, Protocol):
    """Key points with the depth (N,) that was measured there, metres, 0 where it is not known; and the pinhole camera
    of the images that they are of."""

    def depth(self, index: int) -> Float: ...

    def camera(self, index: int) -> Camera: ...


@dataclass(frozen=True, eq=False)
class FrameFeatures:
    """F frames and their N key points, those of frame i at rows starts[i] to starts[i + 1].

    names of the frames; recorded poses `map_from_camera` (F, 4, 4); the pinhole `camera` of the first frame. pixels
    (N, 2) float64, where that camera would see the key points; `of_rig`: there are frames of other cameras. depths (N,)
    float64, metres, 0 where unknown; descriptors (N, D) int8, 127 times the float; starts (F + 1,).
    """

    names: tuple[str, ...]
    map_from_camera: Float
    camera: Camera
    starts: NDArray[np.int64]
    pixels: Float
    depths: Float
    descriptors: NDArray[np.int8]
    of_rig: bool = False

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


def read_frame_features(
    dataset: Dataset, features: DepthFeatures, correction: DepthCorrection, advance: Advance = no_advance
) -> FrameFeatures:
    """The key points of a data set's frames, and their depth after `correction`. Raises DatasetError for features of
    other frames."""
    if tuple(features.names) != tuple(dataset.names):
        raise DatasetError(f"points: features of {len(features)} frames do not belong to these {len(dataset)} frames")
    camera, of_rig = features.camera(0), False
    parts = []
    for index in range(len(features)):
        found, own = features.key_points(index), features.camera(index)
        depths = correction.apply(features.depth(index).astype(np.float32)).astype(np.float64)
        pixels = found.pixels
        if own != camera:
            pixels, of_rig = seen_by(camera, own, pixels), True
        parts.append((pixels, depths, quantized(found.descriptors)))
        advance(index + 1, len(features))
    pixels, depths, descriptors = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    starts = np.cumsum([0, *(len(part[0]) for part in parts)], dtype=np.int64)
    poses = np.stack([dataset.map_from_camera(index) for index in range(len(dataset))])
    return FrameFeatures(tuple(dataset.names), poses, camera, starts, pixels, depths, descriptors, of_rig)


def seen_by(camera: Camera, other: Camera, pixels: Float) -> Float:
    """Where a pinhole camera at the same place sees what an `other` one has at these pixels (N, 2)."""
    slopes = (pixels - (other.cx, other.cy)) / (other.fx, other.fy)
    seen: Float = slopes * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    return seen


def quantized(descriptors: NDArray[np.float32]) -> NDArray[np.int8]:
    """127 times descriptors of length 1."""
    return np.asarray(np.rint(127 * descriptors).clip(-127, 127), dtype=np.int8)
