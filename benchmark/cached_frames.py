"""Frames whose key points a work directory has: they are mapped and localized without decoding an image."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.method import Observation
from vloc_ros.core.session import Tensors
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, Correspondences, LandmarkMap, PoseEstimate
from vloc_ros.datasets.types import Frame
from vloc_ros.features.cache import FeatureCache, open_features
from vloc_ros.features.types import KeyPoints
from vloc_ros.geometry.camera import Camera
from vloc_ros.mapping.depth_calibration import DepthCorrection
from vloc_ros.mapping.place_geometry import load_geometry
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.methods.pram.method import PRAMMethod

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CachedFrames:
    """The frames `rows` of a cache with their recorded `poses` (F, 4, 4): a Dataset, whose images are black, and the
    key points that belong to it."""

    cache: FeatureCache
    poses: Float
    rows: NDArray[np.intp]
    has_depth: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: NDArray[np.intp]) -> "CachedFrames":
        return CachedFrames(self.cache, self.poses, self.rows[rows])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.cache.names[row] for row in self.rows)

    def place(self, index: int) -> str:
        return ""

    def camera(self, index: int) -> Camera:
        return self.cache.camera(self.rows[index])

    def map_from_camera(self, index: int) -> Float:
        pose: Float = self.poses[self.rows[index]]
        return pose

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        """Its stamp says which row of the cache it is."""
        camera = self.camera(index)
        black = np.zeros((camera.height, camera.width, 3), dtype=np.uint8)
        image = CameraImage(black, camera, stamp_ns=int(self.rows[index]))
        return Frame(self.cache.names[self.rows[index]], image, self.map_from_camera(index))

    def key_points(self, index: int) -> KeyPoints:
        return self.cache.key_points(self.rows[index])

    def depth(self, index: int) -> Float:
        return self.cache.depth(self.rows[index])


def cached_frames(workdir: Path) -> tuple[CachedFrames, DepthCorrection]:
    """All mapping frames of a work directory of `vloc map --method pram` for one place."""
    (place,) = load_geometry(workdir)
    assert isinstance(place.shape, Reconstruction)
    cache = open_features(workdir / "features")
    assert cache.names == place.shape.names
    return CachedFrames(cache, place.shape.recorded, np.arange(len(cache))), place.depth or DepthCorrection()


def far_apart(count: int, stretches: int, gap: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of the frames that are mapped, and of those held out: the last third of each stretch."""
    held_out = np.zeros(count, dtype=np.bool_)
    for stretch in np.array_split(np.arange(count), stretches):
        held_out[stretch[-(len(stretch) // 3) :]] = True
    near = np.convolve(held_out, np.ones(2 * gap + 1), "same") > 0
    return np.flatnonzero(~near), np.flatnonzero(held_out)


@dataclass(frozen=True)
class CachedPRAM(PRAMMethod):
    """PRAM that is given the key points of CachedFrames: as many as the map's extractor would find. `is_guided`:
    whether poses are refined by guided matching."""

    cache: FeatureCache | None = field(default=None, kw_only=True)
    is_guided: bool = field(default=True, kw_only=True)

    def prepare(self, image: CameraImage, manifest: Manifest) -> Tensors:
        assert self.cache is not None
        assert manifest.features is not None
        row, count = image.stamp_ns, manifest.features.key_points
        descriptors = self.cache.descriptors[row, :count].astype(np.float32)
        lengths = np.linalg.norm(descriptors, axis=1, keepdims=True)  # 16 bits have rounded them
        return {
            KEY_POINTS: np.array(self.cache.pixels[row, :count]),
            SCORES: np.array(self.cache.scores[row, :count]),
            DESCRIPTORS: descriptors / np.maximum(lengths, np.float32(1e-6)),
        }

    def refine(
        self, estimate: PoseEstimate, observation: Observation, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Correspondences | None:
        return super().refine(estimate, observation, landmark_map, stopwatch) if self.is_guided else None
