"""Bundle adjustment: agrees with a slow reference, recovers moved poses, and respects the prior."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares
from support.reconstruction_scenes import moved, observed, room

from vloc_ros.geometry.pose_error import error_vector, pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.transforms import invert
from vloc_ros.mapping.bundle_adjustment import PosePrior, adjust, cost, pose_prior
from vloc_ros.mapping.covisibility import covisible_pairs
from vloc_ros.mapping.frame_features import FrameFeatures
from vloc_ros.mapping.observations import CAUCHY, Observations, observations_of
from vloc_ros.mapping.pair_matching import match_pairs
from vloc_ros.mapping.tracks import unite
from vloc_ros.mapping.triangulation import triangulate


def start_of(features: FrameFeatures, radius_px: float = 30.0) -> tuple[Observations, np.ndarray]:
    matches = match_pairs(features, features.map_from_camera, covisible_pairs(features), radius_px=radius_px)
    observations = observations_of(unite(matches, features.frames), features)
    return observations, triangulate(observations, features.map_from_camera)[0]


def cauchy_residuals(observations: Observations, poses: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Whose squares sum up to twice the cost of the observations."""
    poses = invert(poses)[observations.frames]
    x, y, z = (np.einsum("oij,oj->oi", poses[:, :3, :3], positions[observations.points]) + poses[:, :3, 3]).T
    fx, fy, cx, cy = observations.intrinsics
    off = np.column_stack([fx * x / z + cx, fy * y / z + cy]) - observations.pixels
    deeper = observations.weights * (z - observations.depths)
    return CAUCHY * np.sqrt(np.log1p(np.append((off**2).sum(axis=1), deeper**2) / CAUCHY**2))


def test_it_agrees_with_a_slow_reference() -> None:
    scene = room(points=10, frames=3)
    features = moved(observed(scene, pixel_noise=0.5, depth_noise=0.01)[0], 0.005, 0.1)
    observations, positions = start_of(features)
    start, prior = features.map_from_camera, pose_prior(features.map_from_camera)

    def unpacked(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        steps = parameters[: 6 * len(start)].reshape(-1, 6)
        poses = np.stack([perturb(pose, step) for pose, step in zip(start, steps, strict=True)])
        return poses, parameters[6 * len(start) :].reshape(-1, 3)

    def residuals(parameters: np.ndarray) -> np.ndarray:
        poses, points = unpacked(parameters)
        moves = [error_vector(a, b) / prior.sigmas for a, b in zip(poses, prior.map_from_camera, strict=True)]
        return np.concatenate([cauchy_residuals(observations, poses, points), *moves])

    first = np.concatenate([np.zeros(6 * len(start)), positions.ravel()])
    assert cost(observations, start, positions, prior) == pytest.approx((residuals(first) ** 2).sum() / 2)
    reference = least_squares(residuals, first, x_scale="jac", max_nfev=80)
    found = adjust(observations, start, positions, prior, max_steps=50)
    assert found.cost == pytest.approx(reference.cost, rel=1e-3)
    poses, points = unpacked(reference.x)
    np.testing.assert_allclose(found.map_from_camera, poses, atol=5e-4)
    np.testing.assert_allclose(found.positions, points, atol=3e-3)


def test_moved_poses_come_back() -> None:
    scene = room()
    features = moved(observed(scene, pixel_noise=0.3, depth_noise=0.005)[0], 0.01, 0.3)
    observations, positions = start_of(features)
    prior = pose_prior(features.map_from_camera, 0.01, np.radians(0.3))
    found = adjust(observations, features.map_from_camera, positions, prior)

    def errors(poses: np.ndarray) -> np.ndarray:
        """Relative to the first frame: all poses together may be off by the mean of their errors."""
        relative = invert(poses[0]) @ poses
        true = invert(scene.poses[0]) @ scene.poses
        each = [pose_error(a, b) for a, b in zip(relative[1:], true[1:], strict=True)]
        return np.array([(error.translation_m, error.rotation_rad) for error in each])

    assert (
        np.median(errors(found.map_from_camera), axis=0) < 0.25 * np.median(errors(prior.map_from_camera), axis=0)
    ).all()


@pytest.mark.parametrize("sigma", [1e-6, 1e-3])
def test_the_prior_holds_the_poses(sigma: float) -> None:
    features = moved(observed(room(), pixel_noise=0.3)[0], 0.01, 0.3)
    observations, positions = start_of(features)
    prior = PosePrior(features.map_from_camera, np.full(6, sigma))
    found = adjust(observations, features.map_from_camera, positions, prior)
    steps = [error_vector(a, b) for a, b in zip(found.map_from_camera, prior.map_from_camera, strict=True)]
    assert np.abs(steps).max() < (1e-4 if sigma == 1e-6 else 0.02)
    assert found.cost <= cost(observations, features.map_from_camera, positions, prior)


def test_what_is_right_already_stays() -> None:
    scene = room()
    features, seen = observed(scene)
    observations, positions = start_of(features, 5.0)
    found = adjust(observations, scene.poses, positions, pose_prior(scene.poses))
    np.testing.assert_allclose(found.map_from_camera, scene.poses, atol=1e-5)
    points = np.concatenate(seen)[observations.rows[observations.starts[:-1]]]
    np.testing.assert_allclose(found.positions, scene.points[points], atol=1e-4)


def test_gross_errors_change_little() -> None:
    scene = room()
    features, _ = observed(scene, pixel_noise=0.2)
    observations, positions = start_of(features, 5.0)
    rng = np.random.default_rng(0)
    wrong = rng.uniform(size=len(observations)) < 0.05
    bad = replace(observations, pixels=observations.pixels + wrong[:, None] * rng.normal(0, 40, (len(observations), 2)))
    found = adjust(bad, scene.poses, positions, pose_prior(scene.poses))
    steps = np.array([error_vector(a, b) for a, b in zip(found.map_from_camera, scene.poses, strict=True)])
    assert np.abs(steps[:, :3]).max() < 0.002
    assert np.degrees(np.abs(steps[:, 3:]).max()) < 0.1
