"""Points are matched near where a pose that is not known well puts them."""

import numpy as np
import pytest
from support.sparse_scenes import CAMERA, POSE, room

from vloc_ros.core.points import Points
from vloc_ros.core.visibility import Uncertainty, visible_points
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import apply, from_quaternion, invert
from vloc_ros.methods.pram.matching import mutual_nearest
from vloc_ros.methods.pram.windows import mutual_nearest_in_windows, windows

ALONE = RigCamera(CAMERA)
MOUNTED = RigCamera(CAMERA, from_quaternion([0.0, 0.3, 0.0, 1.0], [0.4, 0.1, 0.0]))


@pytest.fixture(scope="module")
def points() -> Points:
    found = room().points
    assert found is not None
    return found


@pytest.mark.parametrize("camera", [ALONE, MOUNTED], ids=["alone", "mounted"])
@pytest.mark.parametrize(("metres", "degrees"), [(0.1, 0.0), (0.0, 4.0)])
def test_what_is_seen_from_a_pose_that_is_off_lies_within_the_window(
    points: Points, camera: RigCamera, metres: float, degrees: float
) -> None:
    off = Uncertainty(metres, float(np.radians(degrees)))
    rows = visible_points(points, 0, camera, POSE)
    expected, radii = windows(points, rows, camera, POSE, off)
    rng = np.random.default_rng(3)
    widest = np.zeros(len(rows))
    for _ in range(60):
        move, turn = rng.standard_normal((2, 3))
        step = [move / np.linalg.norm(move) * off.metres, turn / np.linalg.norm(turn) * off.radians]
        moved = camera.map_from_camera(perturb(POSE, np.concatenate(step)))
        pixels, _ = CAMERA.project(apply(invert(moved), points.positions[rows]))
        widest = np.maximum(widest, np.linalg.norm(pixels - expected, axis=1) / radii)
    assert widest.max() < 1.15  # the windows are of first order
    if camera is ALONE:
        assert np.median(widest) > 0.6  # and not wider than they have to be


def test_what_may_be_behind_the_camera_may_be_anywhere(points: Points) -> None:
    rows = np.arange(len(points))
    backwards = POSE @ np.diag([-1.0, 1.0, -1.0, 1.0])
    expected, radii = windows(points, rows, ALONE, backwards, Uncertainty(0.1, 3.0))
    assert np.isfinite(expected).all()
    assert radii.min() > 10 * CAMERA.width


def test_as_by_comparing_all_pairs() -> None:
    rng = np.random.default_rng(5)
    pixels, expected = rng.uniform(0, 100, (80, 2)), rng.uniform(-20, 120, (150, 2))
    described, references = (unit(rng.standard_normal((count, 8))) for count in (80, 200))
    rows, radii = rng.permutation(200)[:150], rng.uniform(5, 60, 150)
    found, matched, similarities = mutual_nearest_in_windows(pixels, described, references, rows, expected, radii, 0.3)
    cosines = described @ references[rows].T
    near = np.linalg.norm(pixels[:, np.newaxis] - expected, axis=2) <= radii
    best = np.where(near, cosines, -1).argmax(axis=1)
    mutual = cosines.argmax(axis=0)[best] == np.arange(80)
    mutual &= near[np.arange(80), best] & (cosines[np.arange(80), best] >= 0.3)
    assert 5 < mutual.sum() < 60
    np.testing.assert_array_equal(found, np.flatnonzero(mutual))
    np.testing.assert_array_equal(matched, rows[best[mutual]])
    np.testing.assert_allclose(similarities, cosines[found, best[mutual]], atol=1e-6)


def test_where_a_point_may_be_anywhere_all_are_compared() -> None:
    rng = np.random.default_rng(6)
    pixels, described = rng.uniform(0, 100, (50, 2)), unit(rng.standard_normal((50, 8)))
    references = unit(rng.standard_normal((68, 8)))
    anywhere = np.zeros((68, 2)), np.full(68, 1e9)
    found = mutual_nearest_in_windows(pixels, described, references, np.arange(68), *anywhere, 0.2)
    every = mutual_nearest(described, references, 0.2)
    np.testing.assert_array_equal(found[0], every[0])
    np.testing.assert_array_equal(found[1], every[1])
    np.testing.assert_allclose(found[2], every[2], atol=1e-6)


def test_nothing_is_matched_without_key_points_or_points() -> None:
    one = np.ones((1, 1), np.float32)
    no_pixels, nothing = np.empty((0, 2)), np.empty(0, np.intp)
    for pixels, described, rows in ((no_pixels, one[:0], np.zeros(1, np.intp)), (np.zeros((1, 2)), one, nothing)):
        where = np.zeros((len(rows), 2)), np.ones(len(rows))
        found, matched, _ = mutual_nearest_in_windows(pixels, described, one, rows, *where, 0.5)
        assert len(found) == len(matched) == 0


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
