"""Bundle adjustment: agrees with a slow reference, recovers moved poses, and respects the prior."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares
from support.reconstruction_scenes import CAMERA, moved, observed, room

from vloc_ros.geometry.pose_error import error_vector, pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.transforms import invert
from vloc_ros.mapping.bundle_adjustment import PosePrior, adjust, cost, lens_prior, pose_prior
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
    fx, fy, cx, cy, k1, k2 = observations.intrinsics
    squared = (x**2 + y**2) / z**2
    radial = 1 + k1 * squared + k2 * squared**2
    off = np.column_stack([fx * radial * x / z + cx, fy * radial * y / z + cy]) - observations.pixels
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


def test_with_a_lens_a_slow_reference_finds_nothing_better() -> None:
    scene = room(points=10, frames=3)
    features = moved(observed(scene, pixel_noise=0.5, depth_noise=0.01)[0], 0.005, 0.1)
    observations, positions = start_of(features)
    observations = replace(observations, pixels=bent(observations.pixels, 1.01, -0.03))
    prior, of_lens = pose_prior(features.map_from_camera), lens_prior(observations.intrinsics)
    found = adjust(observations, features.map_from_camera, positions, prior, of_lens, max_steps=50)
    frames = 6 * len(found.map_from_camera)

    def residuals(parameters: np.ndarray) -> np.ndarray:
        steps, lens = parameters[:frames].reshape(-1, 6), parameters[frames : frames + 2]
        poses = np.stack([perturb(pose, step) for pose, step in zip(found.map_from_camera, steps, strict=True)])
        seen = replace(observations, intrinsics=of_lens.moved(lens))
        moves = [error_vector(a, b) / prior.sigmas for a, b in zip(poses, prior.map_from_camera, strict=True)]
        return np.concatenate([cauchy_residuals(seen, poses, parameters[frames + 2 :].reshape(-1, 3)), *moves, lens])

    lens = (found.intrinsics - of_lens.intrinsics)[[0, 4]] / of_lens.directions[[0, 1], [0, 4]]
    first = np.concatenate([np.zeros(frames), lens, found.positions.ravel()])
    assert (residuals(first) ** 2).sum() / 2 == pytest.approx(found.cost)
    reference = least_squares(residuals, first, x_scale="jac", max_nfev=30)
    assert reference.cost == pytest.approx(found.cost, rel=1e-3)
    np.testing.assert_allclose(reference.x[frames : frames + 2], lens, atol=0.05)
    assert np.abs(lens).max() > 0.2


def bent(pixels: np.ndarray, factor: float, k1: float) -> np.ndarray:
    """What a camera of another focal length, whose image is distorted, sees in place of pixels (N, 2) of CAMERA."""
    slopes = (pixels - (CAMERA.cx, CAMERA.cy)) / (CAMERA.fx, CAMERA.fy)
    radial = 1 + k1 * (slopes**2).sum(axis=1, keepdims=True)
    return np.asarray(slopes * radial * factor * (CAMERA.fx, CAMERA.fy) + (CAMERA.cx, CAMERA.cy))


@pytest.mark.parametrize(("factor", "k1"), [(1.006, -0.02), (0.995, 0.03)])
def test_a_lens_that_is_not_as_declared_is_found(factor: float, k1: float) -> None:
    scene = room()
    features, _ = observed(scene, pixel_noise=0.3, depth_noise=0.005)
    features = replace(features, pixels=bent(features.pixels, factor, k1))
    observations, positions = start_of(features)
    prior = pose_prior(scene.poses)
    found = adjust(observations, scene.poses, positions, prior, lens_prior(observations.intrinsics))
    assert found.intrinsics[0] / CAMERA.fx == pytest.approx(factor, abs=1e-3)
    assert found.intrinsics[4] == pytest.approx(k1, abs=5e-3)
    np.testing.assert_array_equal(found.intrinsics[[2, 3, 5]], observations.intrinsics[[2, 3, 5]])
    assert found.cost < adjust(observations, scene.poses, positions, prior).cost


def test_a_lens_that_nothing_tells_of_stays_as_declared() -> None:
    """Of a camera that stood still, a longer focal length is the same as points that are farther from its axis."""
    scene = room(frames=3)
    features, _ = observed(replace(scene, poses=np.tile(scene.poses[:1], (3, 1, 1))), pixel_noise=0.3)
    observations, positions = start_of(features)
    prior = pose_prior(features.map_from_camera)
    found = adjust(observations, features.map_from_camera, positions, prior, lens_prior(observations.intrinsics))
    np.testing.assert_allclose(found.intrinsics[:4], observations.intrinsics[:4], rtol=1e-3)
    assert abs(found.intrinsics[4]) < 0.01


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
