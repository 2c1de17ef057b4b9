"""Guided matching on scenes whose truth is known, and the search for what is near against a slow one."""

import numpy as np
import pytest
from support.sparse_scenes import CAMERA, POSE, Sight, room

from vloc_ros.core.guided_matching import GuidedSettings, guided_matches, pairs_within
from vloc_ros.core.points import Points
from vloc_ros.core.visibility import visible_points
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.rig import RigCamera


@pytest.mark.parametrize("radius", [0.5, 4.0, 30.0, 2000.0])
@pytest.mark.parametrize(("count", "others"), [(0, 5), (5, 0), (1, 1), (200, 300)])
def test_pairs_as_a_slow_search_finds_them(radius: float, count: int, others: int) -> None:
    rng = np.random.default_rng(count)
    a, b = rng.uniform(0, (640, 480), (count, 2)), rng.uniform(-50, (700, 500), (others, 2))
    found = list(zip(*(rows.tolist() for rows in pairs_within(a, b, radius)), strict=True))
    near = np.linalg.norm(a[:, None] - b[None], axis=2) <= radius
    assert len(found) == len(set(found))
    assert set(found) == set(zip(*(rows.tolist() for rows in np.nonzero(near)), strict=True))


def matched(
    pose: np.ndarray, sight: Sight, window_px: float = 4.0
) -> tuple[Points, np.ndarray, np.ndarray, np.ndarray]:
    """The room's points; of the pairs the key points' pixels, and the points; and where the truth puts the points."""
    landmark_map = room()
    points = landmark_map.points
    assert points is not None
    tensors = sight.tensors(landmark_map, POSE)
    count = int((tensors["scores"] > 0).sum())
    visible = visible_points(points, 0, RigCamera(CAMERA), pose)
    pixels = tensors["key_points"][:count].astype(np.float64)
    key_points, rows = guided_matches(pixels, tensors["descriptors"][:count], points, visible, window_px, 0.7)
    truth = visible_points(points, 0, RigCamera(CAMERA), POSE)
    expected = np.full((len(points), 2), np.nan)
    expected[truth.rows] = truth.pixels
    return points, pixels[key_points], rows, expected


@pytest.mark.parametrize("step", [np.zeros(6), np.array([0.004, -0.003, 0.004, 0.001, 0.001, -0.001])])
def test_all_that_is_shown_is_found_near_the_pose(step: np.ndarray) -> None:
    _, pixels, rows, expected = matched(perturb(POSE, step), Sight())
    assert len(rows) >= 230  # of 250: a little noise, and windows of 4 px
    assert len(set(rows.tolist())) == len(rows)
    assert np.linalg.norm(pixels - expected[rows], axis=1).max() < 4  # none of them wrong


def test_clutter_has_other_descriptors() -> None:
    _, _, rows, _ = matched(POSE, Sight(shown=0, clutter=400))
    assert len(rows) <= 2


def test_only_what_can_be_seen_is_looked_for() -> None:
    points = room().points
    assert points is not None
    rig_camera = RigCamera(CAMERA)
    seen = visible_points(points, 0, rig_camera, POSE)
    assert 100 < len(seen.rows) < len(points)
    assert (seen.pixels >= -0.5).all()
    assert (seen.pixels <= (CAMERA.width - 0.5, CAMERA.height - 0.5)).all()
    assert len(visible_points(points, 1, rig_camera, POSE).rows) == 0  # of another place
    turned = POSE @ np.diag([-1.0, 1.0, -1.0, 1.0])
    assert len(visible_points(points, 0, rig_camera, turned).rows) == 0  # behind
    far = POSE.copy()
    far[2, 3] -= 12.0
    assert len(visible_points(points, 0, rig_camera, far).rows) == 0  # never seen from so far
    wider = visible_points(points, 0, rig_camera, POSE, margin_px=80.0)
    assert set(seen.rows.tolist()) < set(wider.rows.tolist())


def test_points_are_not_seen_from_behind() -> None:
    points = room().points
    assert points is not None
    behind = np.diag([-1.0, 1.0, -1.0, 1.0])
    behind[2, 3] = 6.0  # on the other side of the wall, looking back at it
    assert len(visible_points(points, 0, RigCamera(CAMERA), behind).rows) == 0


@pytest.mark.parametrize(("name", "value"), [("window_px", 0.0), ("window_px", float("nan")), ("min_similarity", 1.5)])
def test_settings_that_make_no_sense(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"guided matching: {name}"):
        GuidedSettings(**{name: value})
