"""Rigid transforms, quaternions and covariances of poses: inverses, round trips, what is no transform."""

from collections.abc import Sequence

import numpy as np
import pytest

from vloc_ros.geometry.transforms import (
    apply,
    from_pose_vector,
    from_quaternion,
    invert,
    moved_covariance,
    planar,
    pose_vector,
    rigid_fault,
    rotation_angle,
    skew,
    to_quaternion,
)


def random_pose(rng: np.random.Generator) -> np.ndarray:
    return from_quaternion(rng.normal(size=4), rng.uniform(-5, 5, 3))


def test_inverse_of_transforms() -> None:
    rng = np.random.default_rng(0)
    poses = np.stack([random_pose(rng) for _ in range(10)])
    assert invert(poses) @ poses == pytest.approx(np.tile(np.eye(4), (10, 1, 1)), abs=1e-12)
    points = rng.normal(size=(5, 3))
    assert apply(invert(poses[0]), apply(poses[0], points)) == pytest.approx(points)


def test_quaternions_round_trip() -> None:
    rng = np.random.default_rng(1)
    for turn in [*np.eye(4), *rng.normal(size=(50, 4))]:
        quat_xyzw = to_quaternion(from_quaternion(turn, np.zeros(3))[:3, :3])
        assert np.linalg.norm(quat_xyzw) == pytest.approx(1.0)
        assert quat_xyzw[3] >= 0
        assert abs(quat_xyzw @ turn) == pytest.approx(np.linalg.norm(turn))


@pytest.mark.parametrize("quat_xyzw", [(0.0, 0.0, 0.0, 0.0), (np.nan, 0.0, 0.0, 1.0), (1e300, 0.0, 0.0, 1.0)])
@pytest.mark.filterwarnings("error")
def test_quaternions_without_direction(quat_xyzw: Sequence[float]) -> None:
    with pytest.raises(ValueError, match="no direction"):
        from_quaternion(quat_xyzw, np.zeros(3))


def test_a_pose_is_seven_numbers_and_back() -> None:
    rng = np.random.default_rng(3)
    for pose in (np.eye(4), *(random_pose(rng) for _ in range(50))):
        numbers = pose_vector(pose)
        np.testing.assert_allclose(from_pose_vector(numbers.tolist()), pose, atol=1e-12)
        np.testing.assert_array_equal(numbers[:3], pose[:3, 3])
        np.testing.assert_allclose(from_pose_vector([*numbers[:3], *(-2 * numbers[3:])]), pose, atol=1e-12)
    for wrong in ([], [0.0] * 6, [0.0] * 8):
        with pytest.raises(ValueError, match=f"{len(wrong)} values instead of 7"):
            from_pose_vector(wrong)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 1.0, np.pi - 1e-6])
def test_rotation_angle(angle: float) -> None:
    axis = np.array([1.0, 2.0, -2.0]) / 3
    turned = from_quaternion([*(axis * np.sin(angle / 2)), np.cos(angle / 2)], np.zeros(3))
    assert rotation_angle(np.eye(3), turned[:3, :3]) == pytest.approx(angle, rel=1e-6, abs=1e-15)


def test_covariance_of_an_attached_pose_is_that_of_sampled_ones() -> None:
    rng = np.random.default_rng(3)
    factor = rng.normal(size=(6, 6)) * 1e-3
    covariance, lever = factor @ factor.T, np.array([0.3, -0.2, 1.1])
    errors = rng.multivariate_normal(np.zeros(6), covariance, 200_000)
    moved = np.concatenate([errors[:, :3] + np.cross(errors[:, 3:], lever), errors[:, 3:]], axis=1)
    expected = moved_covariance(covariance, lever)
    assert np.allclose(np.cov(moved.T), expected, atol=0.02 * expected.diagonal().max())
    assert np.allclose(moved_covariance(expected, -lever), covariance)
    assert np.allclose(skew(lever) @ errors[0, :3], np.cross(lever, errors[0, :3]))


def test_flattening_keeps_place_and_heading_and_does_nothing_twice() -> None:
    tilted = from_quaternion([0.1, -0.05, 0.6, 0.8], [1, 2, 3])
    flat = planar(tilted)
    assert rigid_fault(flat) is None
    assert np.allclose(flat[:3, 3], [1, 2, 0])
    assert np.allclose(flat[2], [0, 0, 1, 0])
    forward = tilted[:2, 0] / np.linalg.norm(tilted[:2, 0])
    assert np.allclose(flat[:2, 0], forward)
    assert np.allclose(planar(flat), flat)


def test_what_is_not_rigid_is_named() -> None:
    assert rigid_fault(np.eye(4)) is None
    assert "shape" in str(rigid_fault(np.eye(3)))
    assert "finite" in str(rigid_fault(np.full((4, 4), np.nan)))
    assert "last row" in str(rigid_fault(np.ones((4, 4))))
    assert "orthonormal" in str(rigid_fault(np.diag([1.01, 1.0, 1.0, 1.0])))
    assert "mirrors" in str(rigid_fault(np.diag([-1.0, 1.0, 1.0, 1.0])))
