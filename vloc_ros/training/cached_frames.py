"""Frames whose key points are in a feature cache, as a data set: localized without decoding an image."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from vloc_ros.core.manifest import Manifest
from vloc_ros.core.session import Tensors
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.types import Frame
from vloc_ros.datasets.wrapper import DatasetWrapper
from vloc_ros.features.cache import FeatureCache
from vloc_ros.localizer import Localizer
from vloc_ros.methods.pram.method import SHOWN, PRAMMethod


@dataclass(frozen=True, eq=False)
class CachedImage(CameraImage):
    """A black image, and the `key_points` of the one that it stands for, as an extractor gives them."""

    key_points: Tensors = field(default_factory=dict)


@dataclass(frozen=True)
class CachedPRAM(PRAMMethod):
    """PRAM that takes the key points of a `CachedImage` from it."""

    scales: Sequence[float] = (1.0,)  # there is no image to look at again

    def prepare(self, image: CameraImage, manifest: Manifest, scale: float) -> Tensors:
        if not isinstance(image, CachedImage):
            return super().prepare(image, manifest, scale)
        return {**image.key_points, SHOWN: np.array(manifest.image_size, dtype=np.int32)}


@dataclass(frozen=True, eq=False)
class CachedFrames(DatasetWrapper):
    """The frames of `parent`, place after place, with so many `key_points` of each, from `caches`: of each place, with
    its frames in their order."""

    caches: tuple[FeatureCache, ...]
    key_points: int

    def __post_init__(self) -> None:
        assert sum(map(len, self.caches)) == len(self.parent)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return self.parent.names

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        """One without image and depth."""
        camera, (place, own) = self.camera(index), self.locate(index)
        black = np.broadcast_to(np.uint8(0), (camera.height, camera.width, 3))
        image = CachedImage(black, camera, key_points=self.caches[place].tensors(own, self.key_points))
        return Frame(self.names[index], image, self.map_from_camera(index), place=self.place(index))

    def locate(self, index: int) -> tuple[int, int]:
        """The number of a frame's place, and of the frame in it."""
        ends = np.cumsum([len(cache) for cache in self.caches])
        place = int(np.searchsorted(ends, index, side="right"))
        return place, index - int(ends[place]) + len(self.caches[place])


def reading_caches(localizer: Localizer) -> Localizer:
    """The same localizer of a map of PRAM, for `CachedFrames`."""
    method = localizer.method
    assert isinstance(method, PRAMMethod)
    cached = CachedPRAM(method.search, method.guided, method.pnp)
    return Localizer(localizer.landmark_map, cached, localizer.sessions, localizer.map_id, localizer.thresholds)
