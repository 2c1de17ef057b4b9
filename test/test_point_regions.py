"""PRAM's landmarks: clusters of a reconstruction's points, virtual reference frames, and pruning by covisibility."""

from dataclasses import replace

import numpy as np
import pytest
from support.points_on_a_wall import CAMERA, wall

from vloc_ros.core.points import Points
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.point_regions import (
    ENOUGH,
    divide_points,
    joined_points,
    of_points,
    pruned,
    spatially_consistent,
    virtual_reference_frames,
)
from vloc_ros.mapping.reconstruction import Reconstruction


def test_landmarks_are_clusters_on_the_ground_with_all_of_their_points() -> None:
    found = divide_points(wall(), 16)
    points, landmarks, regions = found.reconstruction, found.landmarks, found.regions
    assert len(landmarks) == 16
    assert set(regions.tolist()) == set(range(16))
    for k in range(16):
        of_landmark = points.positions[regions == k]
        assert np.allclose(landmarks.positions[k], of_landmark.mean(axis=0))
        assert landmarks.extents[k] == pytest.approx(np.linalg.norm(of_landmark - landmarks.positions[k], axis=1).max())
        y = of_landmark[:, 1]  # what is above each other is together: landmarks are stripes of the wall
        assert not ((points.positions[regions != k, 1] > y.min()) & (points.positions[regions != k, 1] < y.max())).any()
    assert (landmarks.normals @ [-1.0, 0, 0] > 0.5).all()  # towards the path
    assert np.allclose(np.linalg.norm(landmarks.normals, axis=1), 1)


def test_the_virtual_reference_frame_observes_most_of_its_landmark() -> None:
    found = divide_points(wall(), 10)
    points = found.reconstruction
    for k, frame in enumerate(found.reference_frames):
        counts = [
            len(set(points.points[(points.frames == f)].tolist()) & set(np.flatnonzero(found.regions == k).tolist()))
            for f in range(len(points.names))
        ]
        assert counts[frame] == max(counts)
        assert np.array_equal(found.reference_views[k], points.map_from_camera[frame])
        assert found.landmarks.observations[k] == sum(count >= 3 for count in counts)
    assert virtual_reference_frames(np.array([[1, 3, 2], [5, 0, 5]], dtype=np.int32)).tolist() == [1, 0]


def test_few_points_make_few_landmarks() -> None:
    assert len(divide_points(wall(points=100), 64).landmarks) == len(divide_points(wall(100), 64).reconstruction) // 8
    with pytest.raises(ConfigError, match="0 of them are wanted"):
        divide_points(wall(), 0)


def test_points_far_from_all_others_are_no_landmark_s() -> None:
    places = np.concatenate([np.random.default_rng(0).uniform(0, 1, (200, 3)), [[40.0, 0, 0], [0, 0, -25.0]]])
    assert spatially_consistent(places).tolist() == [True] * 200 + [False] * 2
    clean = wall()
    stray = replace(clean, positions=np.concatenate([clean.positions[:-1], [[60.0, 0, 1]]]))
    found = divide_points(stray, 8)
    assert len(found.reconstruction) == len(clean) - 1
    assert found.landmarks.extents.max() < 2


def test_some_of_the_points_with_their_observations() -> None:
    whole = wall()
    kept = np.arange(len(whole)) % 3 == 0
    part = of_points(whole, kept)
    assert np.array_equal(part.positions, whole.positions[kept])
    observed = {(*row,) for row in np.column_stack([whole.positions[whole.points], whole.pixels])[kept[whole.points]]}
    assert observed == {(*row,) for row in np.column_stack([part.positions[part.points], part.pixels])}
    assert of_points(whole, kept | True) is whole
    with pytest.raises(DatasetError, match="none of"):
        of_points(whole, kept & False)


def slowly_pruned(points: Reconstruction, regions: np.ndarray, radius_px: float) -> set[int]:
    """Equations 5 and 6, word by word."""
    left: set[int] = set()
    for region in range(regions.max() + 1):
        at = {
            (int(f), int(p)): pixel
            for f, p, pixel in zip(points.frames, points.points, points.pixels, strict=True)
            if regions[p] == region
        }
        frames = sorted({f for f, _ in at}, key=lambda f: (-sum(g == f for g, _ in at), f))
        preserved: dict[int, list[int]] = {}
        for frame in frames:
            looked_at = {p for f, p in at if f in preserved}
            if len(looked_at) >= ENOUGH * len({p for _, p in at}):
                break
            preserved[frame] = []
            for point in sorted(p for f, p in at if f == frame):
                if any(point in kept for kept in preserved.values()):
                    continue
                near = False
                for earlier, kept in preserved.items():
                    if earlier != frame:
                        pixel, depth = CAMERA.project(
                            apply(invert(points.map_from_camera[earlier]), points.positions[point : point + 1])
                        )
                        near |= any(
                            depth[0] > 0 and np.linalg.norm(pixel[0] - at[earlier, k]) < radius_px for k in kept
                        )
                if not near:
                    preserved[frame].append(point)
        left |= {p for kept in preserved.values() for p in kept}
    return left


@pytest.mark.parametrize("radius_px", [8.0, 25.0])
def test_pruning_keeps_what_equations_5_and_6_keep(radius_px: float) -> None:
    found = divide_points(wall(points=300, frames=8, share=0.5), 6)
    kept = pruned(found.reconstruction, found.regions, radius_px)
    assert set(np.flatnonzero(kept).tolist()) == slowly_pruned(found.reconstruction, found.regions, radius_px)
    assert 0 < kept.sum() < len(kept)


def test_each_landmark_keeps_all_that_its_first_frame_observes() -> None:
    found = divide_points(wall(share=0.6), 5)
    points = found.reconstruction
    kept = pruned(points, found.regions)
    for k, frame in enumerate(found.reference_frames):
        of_frame = points.points[points.frames == frame]
        assert kept[of_frame[found.regions[of_frame] == k]].all()


def test_places_are_joined_with_landmarks_of_their_own() -> None:
    def some(count: int) -> Points:
        zeros = np.zeros(count, dtype=np.int32)
        up = np.tile([0.0, 0.0, 1.0], (count, 1))
        return Points(np.ones((count, 3)), np.ones((count, 4), np.int8), zeros, zeros, up, np.ones((count, 2)))

    joined = joined_points([(some(3), np.array([0, 1, 1])), (some(2), np.array([2, 0]))], [2, 3])
    assert joined.regions.tolist() == [0, 1, 1, 4, 2]
    assert joined.places.tolist() == [0, 0, 0, 1, 1]
    assert joined.regions.dtype == joined.places.dtype == np.int32
