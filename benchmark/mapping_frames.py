"""The mapping frames of a work directory: some are mapped again, others localized, without decoding an image."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.types import Frame
from vloc_ros.features.cache import FeatureCache, open_features, shapes
from vloc_ros.features.types import KeyPoints
from vloc_ros.geometry.camera import Camera
from vloc_ros.mapping.depth_calibration import DepthCorrection
from vloc_ros.mapping.place_geometry import load_geometry
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.training.cached_frames import CachedImage

Float = NDArray[np.float64]
USED_KEY_POINTS = 1024  # of an image, as `vloc map` has it


@dataclass(frozen=True, eq=False)
class MappingFrames:
    """The frames `rows` of a cache with their recorded `poses` (F, 4, 4): a Dataset without images, for `CachedPRAM`,
    and the key points that belong to it, USED_KEY_POINTS of them where a frame is localized."""

    cache: FeatureCache
    poses: Float
    rows: NDArray[np.intp]
    has_depth: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: NDArray[np.intp]) -> "MappingFrames":
        return MappingFrames(self.cache, self.poses, self.rows[rows])

    @cached_property
    def own_cache(self) -> FeatureCache:
        """Of these frames alone."""
        arrays = {name: getattr(self.cache, name)[self.rows] for name in shapes(0, self.cache.features)}
        return replace(self.cache, names=self.names, **arrays)

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
        """Without image and depth."""
        row, camera = int(self.rows[index]), self.camera(index)
        black = np.broadcast_to(np.uint8(0), (camera.height, camera.width, 3))
        image = CachedImage(black, camera, key_points=self.cache.tensors(row, USED_KEY_POINTS))
        return Frame(self.cache.names[row], image, self.map_from_camera(index))

    def key_points(self, index: int) -> KeyPoints:
        return self.cache.key_points(self.rows[index])

    def depth(self, index: int) -> Float:
        return self.cache.depth(self.rows[index])


def mapping_frames(workdir: Path) -> tuple[MappingFrames, DepthCorrection]:
    """All mapping frames of a work directory of `vloc map --method pram` for one place."""
    (place,) = load_geometry(workdir)
    assert isinstance(place.shape, Reconstruction)
    cache = open_features(workdir / "features")
    assert cache.names == place.shape.names
    return MappingFrames(cache, place.shape.recorded, np.arange(len(cache))), place.depth or DepthCorrection()


def far_apart(count: int, stretches: int, gap: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of the frames that are mapped, and of those held out: the last third of each stretch."""
    held_out = np.zeros(count, dtype=np.bool_)
    for stretch in np.array_split(np.arange(count), stretches):
        held_out[stretch[-(len(stretch) // 3) :]] = True
    near = np.convolve(held_out, np.ones(2 * gap + 1), "same") > 0
    return np.flatnonzero(~near), np.flatnonzero(held_out)
