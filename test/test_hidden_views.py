"""Points of a map without some of its views: those of the others alone, as if they had been mapped so."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from support.reconstruction_scenes import Room, Source, observed, room

from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES, FeatureSpec
from vloc_ros.core.points import Points
from vloc_ros.features.cache import FeatureCache
from vloc_ros.features.types import KeyPoints
from vloc_ros.mapping.depth_calibration import DepthCorrection
from vloc_ros.mapping.frame_features import FrameFeatures
from vloc_ros.mapping.hidden_views import ObservedPoints, observed_points
from vloc_ros.mapping.point_selection import select_points
from vloc_ros.mapping.reconstruct import reconstruct
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.mapping.tracks import MIN_LENGTH

POINTS = 200  # fewer than there are


@dataclass(frozen=True, eq=False)
class Mapped:
    scene: Room
    reconstruction: Reconstruction
    features: FrameFeatures
    cache: FeatureCache
    points: Points
    observed: ObservedPoints = field(init=False)

    def __post_init__(self) -> None:
        found = observed_points(self.points, self.reconstruction, self.cache, DepthCorrection())
        object.__setattr__(self, "observed", found)


def cache_of(features: FrameFeatures) -> FeatureCache:
    """The same in arrays of a cache."""
    parts = [slice(*features.starts[index : index + 2].tolist()) for index in range(len(features))]
    most = max(part.stop - part.start for part in parts)

    def padded(values: Any, dtype: type[np.generic]) -> Any:
        result = np.zeros((len(parts), most, *values.shape[1:]), dtype=dtype)
        for row, part in enumerate(parts):
            result[row, : part.stop - part.start] = values[part]
        return result

    spec = FeatureSpec("onnx", most, features.descriptors.shape[1], "0" * 64)
    size, scores = (features.camera.width, features.camera.height), np.ones(len(features.pixels))
    intrinsics = np.tile(features.intrinsics, (len(parts), 1))
    arrays = (padded(features.pixels, np.float32), padded(scores, np.float32))
    descriptors, depths = padded(features.descriptors / 127, np.float16), padded(features.depths, np.float32)
    qualities = np.ones((len(parts), 3), dtype=np.float32)
    return FeatureCache(spec, features.names, size, *arrays, descriptors, depths, intrinsics, qualities)


@pytest.fixture(scope="module")
def mapped() -> Mapped:
    scene = room()
    features, _ = observed(scene, pixel_noise=0.3, depth_noise=0.002)
    reconstruction = reconstruct(features)
    points = select_points(reconstruction, Source(features), POINTS)
    return Mapped(scene, reconstruction, features, cache_of(features), points)


def test_nothing_changes_where_nothing_is_hidden(mapped: Mapped) -> None:
    left = mapped.observed.without(np.zeros(len(mapped.features), dtype=np.bool_))
    assert left is not None
    np.testing.assert_array_equal(left.positions, mapped.points.positions)
    np.testing.assert_array_equal(left.descriptors, mapped.points.descriptors)


def test_nothing_is_left_where_all_but_two_are_hidden(mapped: Mapped) -> None:
    hidden = np.ones(len(mapped.features), dtype=np.bool_)
    hidden[3:5] = False
    assert mapped.observed.without(hidden) is None


def test_points_are_as_the_other_views_saw_them(mapped: Mapped) -> None:
    """Still near the truth, and seen from where these were."""
    hidden = np.arange(len(mapped.features)) < 9
    left = mapped.observed.without(hidden)
    assert left is not None
    observations = mapped.observed.observations
    counts = np.bincount(observations.points[~hidden[observations.frames]], minlength=POINTS)
    there = counts >= MIN_LENGTH
    assert len(left) == there.sum() < POINTS
    before = mapped.points[there]
    moved = np.linalg.norm(left.positions - before.positions, axis=1)
    assert 0 < np.median(moved) < 0.01
    nearest = np.linalg.norm(left.positions[:, None] - mapped.scene.points[None], axis=2).min(axis=1)
    assert np.median(nearest) < 0.01
    np.testing.assert_array_equal(left.regions, before.regions)
    assert np.median(left.sigmas) > 1.1 * np.median(before.sigmas)  # fewer directions, less depth
    # Directions are to views that are left: all of them on one side.
    shown = mapped.reconstruction.map_from_camera[~hidden, :3, 3].mean(axis=0) - left.positions
    others = mapped.reconstruction.map_from_camera[hidden, :3, 3].mean(axis=0) - left.positions
    assert (
        (left.directions * (shown - others)).sum(axis=1) > (before.directions * (shown - others)).sum(axis=1)
    ).mean() > 0.9


def test_descriptors_are_the_mean_of_those_that_are_left(mapped: Mapped) -> None:
    hidden = np.arange(len(mapped.features)) % 3 == 0
    left = mapped.observed.without(hidden)
    assert left is not None
    observations, shown = mapped.observed.observations, ~hidden[mapped.observed.observations.frames]
    there = np.flatnonzero(np.bincount(observations.points[shown], minlength=POINTS) >= MIN_LENGTH)
    for row, point in list(enumerate(there))[::20]:
        mean = mapped.observed.descriptors[shown & (observations.points == point)].mean(axis=0)
        np.testing.assert_allclose(left.descriptors[row], 127 * mean / np.linalg.norm(mean), atol=1)


def test_a_cache_gives_what_an_extractor_gives(mapped: Mapped) -> None:
    for count in (20, mapped.cache.features.key_points):
        tensors = mapped.cache.tensors(2, count)
        assert tensors[KEY_POINTS].shape == (count, 2)
        assert tensors[SCORES].shape == (count,)
        found, whole = KeyPoints.of(tensors), mapped.cache.key_points(2)
        np.testing.assert_allclose(found.pixels, whole.pixels[:count])
        np.testing.assert_allclose(found.descriptors, whole.descriptors[:count], atol=1e-6)
        assert not tensors[DESCRIPTORS][len(found) :].any()
