"""Which points can be seen from a pose, and from around it."""

import numpy as np
import pytest
from support.sparse_scenes import CAMERA, POSE, room

from vloc_ros.core.points import Points
from vloc_ros.core.visibility import Uncertainty, visible_points
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import apply, from_quaternion, invert

ALONE = RigCamera(CAMERA)
BACK = np.diag([-1.0, 1.0, -1.0, 1.0])


@pytest.fixture(scope="module")
def points() -> Points:
    found = room().points
    assert found is not None
    return found


def test_what_is_projected_into_the_image(points: Points) -> None:
    pixels, depths = CAMERA.project(apply(invert(POSE), points.positions))
    inside = (pixels > -0.5).all(axis=1) & (pixels < (CAMERA.width - 0.5, CAMERA.height - 0.5)).all(axis=1)
    expected = np.flatnonzero(inside & (depths > 0))
    assert 100 < len(expected) < len(points)
    assert visible_points(points, 0, ALONE, POSE).tolist() == expected.tolist()


def test_of_no_other_place(points: Points) -> None:
    assert len(visible_points(points, 1, ALONE, POSE)) == 0


@pytest.mark.parametrize("metres", [0.0, 0.2])
def test_not_from_behind_nor_from_far_away(points: Points, metres: float) -> None:
    off = Uncertainty(metres)
    assert len(visible_points(points, 0, ALONE, POSE @ BACK, off)) == 0  # looks away
    beyond = BACK.copy()
    beyond[2, 3] = 6.0  # on the other side of the wall, looking back at it
    assert len(visible_points(points, 0, ALONE, beyond, off)) == 0
    far = POSE.copy()
    far[2, 3] -= 12.0
    assert len(visible_points(points, 0, ALONE, far, off)) == 0


def test_of_an_uncertain_pose_all_that_may_be_seen(points: Points) -> None:
    """Whatever a pose within the uncertainty sees is among what the uncertain one does."""
    off = Uncertainty(0.15, np.radians(6))
    mount = RigCamera(CAMERA, from_quaternion([0.0, 0.3, 0.0, 1.0], [0.4, 0.1, 0.0]))
    rng = np.random.default_rng(2)
    for camera in (ALONE, mount):
        around = set(visible_points(points, 0, camera, POSE, off).tolist())
        assert len(around) < len(points)
        for _ in range(30):
            move, turn = rng.standard_normal((2, 3))
            step = np.concatenate([move / np.linalg.norm(move) * 0.15, turn / np.linalg.norm(turn) * np.radians(6)])
            assert set(visible_points(points, 0, camera, perturb(POSE, step)).tolist()) <= around
