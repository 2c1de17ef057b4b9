"""Guided matching on scenes whose truth is known, and the search for what is near against a slow one."""

import numpy as np
import pytest
from support.sparse_scenes import CAMERA, POSE, Sight, room

from vloc_ros.core.guided_matching import GuidedSettings, best_in_windows, guided_matches
from vloc_ros.core.points import Points
from vloc_ros.core.visibility import visible_points
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import apply, invert


@pytest.mark.parametrize("radius", [0.5, 4.0, 30.0, 2000.0])
@pytest.mark.parametrize(("count", "others"), [(0, 5), (5, 0), (1, 1), (200, 300)])
def test_the_best_in_windows_as_a_slow_search_finds_them(radius: float, count: int, others: int) -> None:
    rng = np.random.default_rng(count)
    pixels, expected = rng.uniform(0, (640, 480), (count, 2)), rng.uniform(-50, (700, 500), (others, 2))
    expected[: others // 10] = np.nan  # behind the camera
    a, b = (unit(rng.standard_normal((n, 8))) for n in (count, 2 * others))
    rows = rng.permutation(2 * others)[:others]
    found = best_in_windows(pixels, a, b, rows, expected, np.full(others, radius), 0.3)
    near = np.linalg.norm(pixels[:, None] - expected[None], axis=2) <= radius
    cosines = np.where(near, a @ b[rows].T, -1.0)
    cosines[cosines < 0.3] = -1.0
    for which, axis in ((found.nearest, 1), (found.best, 0)):
        there = cosines.max(axis=axis, initial=-1.0) > -1
        np.testing.assert_array_equal(which >= 0, there)
        if there.any():
            np.testing.assert_array_equal(which[there], cosines.argmax(axis=axis)[there])
    seen = found.nearest >= 0
    np.testing.assert_allclose(found.similarities[seen], cosines.max(axis=1, initial=-1.0)[seen], atol=1e-6)


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def projected(points: Points, pose: np.ndarray) -> np.ndarray:
    """Pixels of all points; NaN behind the camera."""
    return CAMERA.project(apply(invert(pose), points.positions))[0]


def matched(pose: np.ndarray, sight: Sight, window_px: float = 4.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the pairs the key points' pixels, and the points; and where the truth puts all points."""
    landmark_map = room()
    points = landmark_map.points
    assert points is not None
    tensors = sight.tensors(landmark_map, POSE)
    count = int((tensors["scores"] > 0).sum())
    visible = visible_points(points, 0, RigCamera(CAMERA), pose)
    pixels = tensors["key_points"][:count].astype(np.float64)
    expected = projected(points, pose)[visible]
    key_points, rows, _ = guided_matches(
        pixels, tensors["descriptors"][:count], points, visible, expected, window_px, 0.7
    )
    return pixels[key_points], rows, projected(points, POSE)


@pytest.mark.parametrize("step", [np.zeros(6), np.array([0.004, -0.003, 0.004, 0.001, 0.001, -0.001])])
def test_all_that_is_shown_is_found_near_the_pose(step: np.ndarray) -> None:
    pixels, rows, expected = matched(perturb(POSE, step), Sight())
    assert len(rows) >= 230  # of 250: a little noise, and windows of 4 px
    assert len(set(rows.tolist())) == len(rows)
    assert np.linalg.norm(pixels - expected[rows], axis=1).max() < 4  # none of them wrong


def test_clutter_has_other_descriptors() -> None:
    _, rows, _ = matched(POSE, Sight(shown=0, clutter=400))
    assert len(rows) <= 2


@pytest.mark.parametrize(("name", "value"), [("window_px", 0.0), ("window_px", float("nan")), ("min_similarity", 1.5)])
def test_settings_that_make_no_sense(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"guided matching: {name}"):
        GuidedSettings(**{name: value})
