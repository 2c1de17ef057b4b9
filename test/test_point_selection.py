"""The points of a map: enough for every view, with descriptors of what frames saw."""

import numpy as np
import pytest
from support.reconstruction_scenes import Source, observed, room

from vloc_ros.mapping.point_selection import chosen_points, point_descriptors, select_points, sigmas_far_away
from vloc_ros.mapping.reconstruct import reconstruct

SCENE = room(points=600, frames=10)
FEATURES, SEEN = observed(SCENE, pixel_noise=0.3)
FOUND = reconstruct(FEATURES)
SOURCE = Source(FEATURES)


def test_every_view_keeps_enough() -> None:
    chosen = chosen_points(FOUND, 120)
    assert len(chosen) == 120 == len(np.unique(chosen))
    views = np.bincount(FOUND.frames[np.isin(FOUND.points, chosen)], minlength=len(SEEN))
    random = np.random.default_rng(0).permutation(len(FOUND))[:120]
    by_chance = np.bincount(FOUND.frames[np.isin(FOUND.points, random)], minlength=len(SEEN))
    assert views.min() >= by_chance.min()
    assert views.min() > 0.3 * views.max()


@pytest.mark.parametrize("count", [1, 99, 100, 101, 10_000])
def test_as_many_as_wanted(count: int) -> None:
    assert len(select_points(FOUND, SOURCE, count)) == min(count, len(FOUND))


def test_descriptors_are_those_of_the_points_key_points() -> None:
    points = select_points(FOUND, SOURCE, 100)
    nearest = np.linalg.norm(points.positions[:, None] - SCENE.points, axis=2).argmin(axis=1)
    cosines = (points.descriptors / 127.0 * SCENE.descriptors[nearest]).sum(axis=1)
    assert points.descriptors.dtype == np.int8
    assert cosines.min() > 0.97
    halves = select_points(FOUND, SOURCE, 100, dtype=np.float16)
    np.testing.assert_allclose(halves.descriptors, points.descriptors / 127.0, atol=0.6 / 127)


def test_the_medoid_is_an_observation_and_nearest_to_the_others() -> None:
    everything = np.arange(len(FOUND))
    medoids = point_descriptors(FOUND, SOURCE, everything, medoid=True)
    for point in range(0, len(FOUND), 40):
        of_point = FOUND.points == point
        seen = zip(FOUND.frames[of_point], FOUND.rows[of_point], strict=True)
        each = np.stack([SOURCE.key_points(frame).descriptors[row] for frame, row in seen])
        sums = ((each[:, None] - each) ** 2).sum(axis=(1, 2))
        np.testing.assert_allclose(((medoids[point] - each) ** 2).sum(), sums.min(), atol=1e-4)


def test_where_points_are_seen_from() -> None:
    points = select_points(FOUND, SOURCE)
    offsets = FOUND.map_from_camera[FOUND.frames, :3, 3] - FOUND.positions[FOUND.points]
    away = np.linalg.norm(offsets, axis=1)
    assert (away >= points.distances[FOUND.points, 0] - 1e-9).all()
    assert (away <= points.distances[FOUND.points, 1] + 1e-9).all()
    assert ((offsets / away[:, None] * points.directions[FOUND.points]).sum(axis=1) > 0).all()


def test_points_are_the_less_certain_the_fewer_the_directions_they_were_seen_from() -> None:
    """However often they were: half of the views, all on one side, leave them less certain; repeated ones no more."""
    twice = sigmas_far_away(FOUND.sigmas / np.sqrt(2), 2 * np.bincount(FOUND.points))
    np.testing.assert_allclose(twice, sigmas_far_away(FOUND.sigmas, np.bincount(FOUND.points)))
    points = select_points(FOUND, SOURCE, 100)
    assert (points.sigmas > FOUND.sigmas.min()).all()
