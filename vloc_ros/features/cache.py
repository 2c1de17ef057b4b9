"""Key points of all frames of a place on disk, found once and read through memory maps ever after."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES, SIFT, SIFT_DIMENSIONS, FeatureSpec
from vloc_ros.core.session import Tensors
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.features.types import KeyPoints
from vloc_ros.geometry.camera import Camera
from vloc_ros.images.quality import QUALITIES

CONTENT = "content.json"  # what the arrays are of
DONE = "done.json"  # how many frames' rows are written


def array_file(name: str) -> str:
    """The file of a FeatureCache's array."""
    return f"{name}.npy"


@dataclass(frozen=True, eq=False)
class FeatureCache:
    """K key points of F frames, in their undistorted images scaled to `size` (width, height), as an extractor gives
    them: pixels (F, K, 2) float32, scores (F, K) float32, best first and 0 where there is none, descriptors (F, K, D)
    float16, depths (F, K) float32: metres along the camera's z axis, 0 where they are not known or at an edge of depth.
    intrinsics (F, 4): fx fy cx cy of these images. qualities (F, 3) float32: the `image_quality` of the images as they
    were recorded. `features`: what found the key points."""

    features: FeatureSpec
    names: tuple[str, ...]
    size: tuple[int, int]
    pixels: NDArray[np.float32]
    scores: NDArray[np.float32]
    descriptors: NDArray[np.float16]
    depths: NDArray[np.float32]
    intrinsics: NDArray[np.float64]
    qualities: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.names)

    def count(self, index: int) -> int:
        """How many key points a frame has: N."""
        return int(np.count_nonzero(self.scores[index] > 0))

    def key_points(self, index: int) -> KeyPoints:
        """The N key points of a frame."""
        n = self.count(index)
        descriptors = self.descriptors[index, :n].astype(np.float32)
        lengths = np.linalg.norm(descriptors, axis=1, keepdims=True)  # 16 bits have rounded them
        return KeyPoints(
            self.pixels[index, :n].astype(np.float64), np.array(self.scores[index, :n]), descriptors / lengths
        )

    def tensors(self, index: int, key_points: int) -> Tensors:
        """The same of so many of them, the best ones, as an extractor would give them."""
        scores = np.array(self.scores[index, :key_points])
        descriptors = self.descriptors[index, :key_points].astype(np.float32)
        lengths = np.linalg.norm(descriptors, axis=1, keepdims=True)
        descriptors /= np.where(lengths > 0, lengths, np.float32(1))
        return {KEY_POINTS: np.array(self.pixels[index, :key_points]), SCORES: scores, DESCRIPTORS: descriptors}

    def depth(self, index: int) -> NDArray[np.float64]:
        """Depths (N,) at the key points of a frame, metres, 0 where they are not known."""
        return self.depths[index, : self.count(index)].astype(np.float64)

    def camera(self, index: int) -> Camera:
        """The pinhole camera of a frame's scaled image."""
        fx, fy, cx, cy = self.intrinsics[index].tolist()
        return Camera(*self.size, fx, fy, cx, cy, cropped=True)


def shapes(frames: int, features: FeatureSpec) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    """Element type and shape of a cache's arrays by name."""
    k = features.key_points
    return {
        "pixels": (np.float32, (frames, k, 2)),
        "scores": (np.float32, (frames, k)),
        "descriptors": (np.float16, (frames, k, features.dimensions)),
        "depths": (np.float32, (frames, k)),
        "intrinsics": (np.float64, (frames, 4)),
        "qualities": (np.float32, (frames, len(QUALITIES))),
    }


def cache_files(directory: Path) -> tuple[Path, ...]:
    """What `extract_features` writes."""
    arrays = (array_file(name) for name in shapes(0, FeatureSpec(SIFT, 1, SIFT_DIMENSIONS)))
    return directory / CONTENT, directory / DONE, *(directory / name for name in arrays)


def open_features(directory: Path) -> FeatureCache:
    """Open what `extract_features` wrote. Raises DatasetError if it is not all there."""
    try:
        content = json.loads((directory / CONTENT).read_text())
        features, names = FeatureSpec(**content["features"]), tuple(content["names"])
        if (done := json.loads((directory / DONE).read_text())) != len(names):
            raise ValueError(f"{done} of {len(names)} frames are done")
        arrays = {name: np.load(directory / array_file(name), mmap_mode="r") for name in shapes(len(names), features)}
        for name, (dtype, shape) in shapes(len(names), features).items():
            if arrays[name].dtype != dtype or arrays[name].shape != shape:
                raise ValueError(f"{name} is {arrays[name].dtype} {arrays[name].shape}")
        return FeatureCache(features, names, tuple(content["size"]), **arrays)
    except (OSError, ValueError, KeyError, TypeError, EOFError, ConfigError) as error:
        raise DatasetError(f"{directory}: key points are missing ({error}); --fresh finds them anew") from error
