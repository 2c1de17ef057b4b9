"""PnP and the gate: exact data gives the exact pose, the covariance is what noise really does, every limit rejects."""

from dataclasses import replace

import numpy as np
import pytest

from vloc_ros.core.calibration import calibrated
from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.gate import gate
from vloc_ros.core.manifest import Calibration, GateThresholds
from vloc_ros.core.pnp import solve_pnp
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.pnp import Matches
from vloc_ros.geometry.pose_refinement import damped_step, normal_equations, perturb
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import apply, from_quaternion, invert, rotation_angle
from vloc_ros.methods.hscnet.method import MANY_ROUGH

CAMERA = Camera(640, 480, 525.0, 520.0, 317.0, 243.0)
ALONE = (RigCamera(CAMERA),)
MAP_FROM_CAMERA = from_quaternion([0.3, -0.5, 0.2, 0.8], [4.0, -2.0, 1.5])
NO_VIEWS = np.empty((0, 4, 4))


def exact(count: int = 60, seed: int = 0, sigma: float = 1.0) -> Correspondences:
    rng = np.random.default_rng(seed)
    pixels = rng.uniform((0, 0), (CAMERA.width, CAMERA.height), (count, 2))
    rays = np.column_stack([(pixels - (CAMERA.cx, CAMERA.cy)) / (CAMERA.fx, CAMERA.fy), np.ones(count)])
    points = apply(MAP_FROM_CAMERA, rays * rng.uniform(1.0, 4.0, (count, 1)))
    return Correspondences(pixels, points, np.full(count, sigma), np.arange(count, dtype=np.int32))


def with_noise(correspondences: Correspondences, rng: np.random.Generator) -> Correspondences:
    noise = rng.normal(size=(len(correspondences), 2)) * correspondences.sigmas[:, None]
    return replace(correspondences, pixels=correspondences.pixels + noise)


def pose_error(map_from_camera: np.ndarray) -> np.ndarray:
    """Error (6,) in ROS order: position, then the rotation vector about the map's axes."""
    turn = map_from_camera[:3, :3] @ MAP_FROM_CAMERA[:3, :3].T
    small = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2
    return np.concatenate([map_from_camera[:3, 3] - MAP_FROM_CAMERA[:3, 3], small])


def solved(correspondences: Correspondences) -> PoseEstimate:
    estimate = solve_pnp(correspondences, ALONE)
    assert isinstance(estimate, PoseEstimate)
    return estimate


def test_exact_projections_give_the_exact_pose() -> None:
    """Also fixes the pixel convention: half a pixel of difference to PoseLib's would show as some millimetres."""
    projected, _ = CAMERA.project(apply(invert(MAP_FROM_CAMERA), exact().points))
    estimate = solved(replace(exact(), pixels=projected))
    assert np.abs(pose_error(estimate.map_from_camera)).max() < 1e-8
    assert estimate.inlier_ratio == 1.0
    assert estimate.reprojection_rmse_px < 1e-6


def test_outliers_are_found_and_the_result_repeats() -> None:
    correspondences = with_noise(exact(100), np.random.default_rng(1))
    wrong = np.arange(100) < 50
    correspondences.pixels[wrong] = np.random.default_rng(2).uniform(0, 480, (50, 2))
    estimate = solved(correspondences)
    assert estimate.inliers[~wrong].all()
    assert estimate.inliers[wrong].sum() <= 2
    assert np.linalg.norm(pose_error(estimate.map_from_camera)[:3]) < 0.02
    assert np.array_equal(estimate.map_from_camera, solved(correspondences).map_from_camera)


def test_of_equally_certain_ones_hypotheses_come_from_the_whole_image() -> None:
    """In the order of rows, as a method may find them, the first ones are wrong."""
    found = exact(1200)
    wrong = np.where(np.arange(1200)[:, None] < 400, np.roll(found.pixels, 7, axis=0), found.pixels)
    result = solve_pnp(replace(found, pixels=wrong), ALONE, MANY_ROUGH)
    assert isinstance(result, PoseEstimate)
    np.testing.assert_allclose(result.map_from_camera, MAP_FROM_CAMERA, atol=1e-6)


def test_sigmas_weigh() -> None:
    """With half of the landmarks ten times as noisy, a pose that knows it beats one that does not."""
    sigmas = np.where(np.arange(60) < 30, 0.3, 3.0)
    informed, blind = [], []
    for seed in range(30):
        correspondences = with_noise(replace(exact(), sigmas=sigmas), np.random.default_rng(seed))
        informed.append(pose_error(solved(correspondences).map_from_camera)[:3])
        blind.append(pose_error(solved(replace(correspondences, sigmas=np.ones(60))).map_from_camera)[:3])
    assert np.sqrt(np.mean(np.square(informed))) < 0.8 * np.sqrt(np.mean(np.square(blind)))


def test_covariance_is_that_of_the_errors() -> None:
    """Monte Carlo over pixel noise: correlations and scale of all six axes, in ROS order and map axes."""
    rng = np.random.default_rng(0)
    truth = replace(exact(40), sigmas=np.random.default_rng(9).uniform(0.5, 1.5, 40))
    estimates = [solved(with_noise(truth, rng)) for _ in range(600)]
    errors = np.array([pose_error(estimate.map_from_camera) for estimate in estimates])
    predicted = np.mean([estimate.covariance for estimate in estimates], axis=0)
    whitened = np.linalg.solve(np.linalg.cholesky(predicted), errors.T)
    # The robust weights make it slightly cautious: 1 would be exact, below 0.6 or above 1.1 dishonest.
    spread = np.linalg.eigvalsh(whitened @ whitened.T / len(errors))
    assert spread.min() > 0.6
    assert spread.max() < 1.1


def test_sigmas_that_are_too_small_do_not_make_it_overconfident() -> None:
    truth = exact(60)
    noisy = with_noise(truth, np.random.default_rng(3))
    honest = solved(noisy)
    boastful = solved(replace(noisy, sigmas=noisy.sigmas / 10))
    assert np.trace(boastful.covariance) == pytest.approx(np.trace(honest.covariance), rel=0.5)


@pytest.mark.parametrize("count", range(4))
def test_too_few(count: int) -> None:
    result = solve_pnp(exact()[np.arange(count)], ALONE)
    assert isinstance(result, Rejection)
    assert result.reason is RejectionReason.TOO_FEW_LANDMARKS
    assert str(count) in result.detail


def test_no_correspondences() -> None:
    result = solve_pnp(Correspondences.empty(), ALONE)
    assert isinstance(result, Rejection)


def test_contradictions_have_no_pose_or_few_inliers() -> None:
    rng = np.random.default_rng(0)
    nonsense = replace(exact(30), pixels=rng.uniform(0, 480, (30, 2)))
    result = solve_pnp(nonsense, ALONE)
    assert isinstance(result, Rejection) or isinstance(
        gate(calibrated(result, Calibration(), NO_VIEWS), GateThresholds()), Rejection
    )


@pytest.mark.parametrize("spread", [0.0, 1.0], ids=["one point", "a line"])
def test_degenerate_points_leave_the_pose_undetermined(spread: float) -> None:
    along = np.linspace(-1, 1, 30)[:, None] * spread
    points = apply(MAP_FROM_CAMERA, np.array([0.1, 0.2, 3.0]) + along * np.array([0.5, 0.1, 0.3]))
    pixels, _ = CAMERA.project(apply(invert(MAP_FROM_CAMERA), points))
    result = solve_pnp(replace(exact(30), pixels=pixels, points=points), ALONE)
    assert isinstance(result, Rejection) or isinstance(
        gate(calibrated(result, Calibration(), NO_VIEWS), GateThresholds()), Rejection
    )


@pytest.mark.parametrize("uncertain_px", [0.0, 3.0])
def test_gradient_and_information_are_those_of_the_cost(uncertain_px: float) -> None:
    rng = np.random.default_rng(4)
    correspondences = with_noise(exact(20), rng)
    shifts = uncertain_px * rng.normal(size=(20, 2))
    found = correspondences
    flattening = Matches(found.pixels, found.points, found.sigmas, found.views, shifts).flattening
    intrinsics = np.array([CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy])

    def at(step: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
        pose = perturb(MAP_FROM_CAMERA, step)
        data = (correspondences.pixels, correspondences.points, correspondences.sigmas, flattening)
        return normal_equations(pose, *data, intrinsics, 2.0)

    _, gradient, _, _ = at(np.zeros(6))
    numeric = [(at(1e-6 * axis)[2] - at(-1e-6 * axis)[2]) / 2e-6 for axis in np.eye(6)]
    assert gradient == pytest.approx(np.array(numeric), rel=1e-5, abs=1e-3)


def test_points_that_are_off_along_their_shifts_count_less() -> None:
    """Half of them are off by 6 px, all to one side: a pose that knows how uncertain they are follows the others."""
    found = with_noise(exact(200), np.random.default_rng(5))
    shifts = np.where(np.arange(200)[:, None] % 2 == 0, (6.0, 0.0), (0.0, 0.0))
    off = replace(found, pixels=found.pixels + shifts)
    blind, told = (
        np.linalg.norm(pose_error(solved(each).map_from_camera)[:3]) for each in (off, replace(off, shifts=shifts))
    )
    assert told < blind / 2


def test_flattened_residuals_have_unit_covariance() -> None:
    """Along the shift a residual has the larger one of both standard deviations, across it that of the pixel."""
    rng = np.random.default_rng(6)
    along, sigma, shift_px = np.array([0.6, -0.8]), 1.5, 4.0
    across = np.array([0.8, 0.6])
    residuals = shift_px * rng.normal(size=(100_000, 1)) * along + sigma * rng.normal(size=(100_000, 1)) * across
    found = Matches(
        np.zeros((1, 2)), np.zeros((1, 3)), np.array([sigma]), np.zeros(1, np.int32), shift_px * along[None]
    )
    flattening, scaled = found.flattening[0], residuals / sigma
    np.testing.assert_allclose(np.cov((scaled - np.outer(scaled @ flattening, flattening)).T), np.eye(2), atol=0.02)
    for less in (0.0, sigma):
        assert not replace(found, shifts=less * along[None]).flattening.round(6).any()


def test_damped_step_solves_the_normal_equations() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(8, 6))
    information, gradient = root.T @ root, rng.normal(size=6)
    assert damped_step(information, gradient, 0.0) == pytest.approx(-np.linalg.solve(information, gradient))
    assert np.isnan(damped_step(np.zeros((6, 6)), gradient, 0.0)).any()


def test_perturbation_is_about_the_maps_axes() -> None:
    moved = perturb(MAP_FROM_CAMERA, np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.3]))
    expected = from_quaternion([0, 0, np.sin(0.15), np.cos(0.15)], [0, 0, 0])[:3, :3] @ MAP_FROM_CAMERA[:3, :3]
    assert rotation_angle(moved[:3, :3], expected) < 1e-12
    assert moved[:3, 3] - MAP_FROM_CAMERA[:3, 3] == pytest.approx([0.1, 0.0, 0.0])


@pytest.mark.parametrize(
    ("thresholds", "reason", "words"),
    [
        (GateThresholds(min_inliers=61), RejectionReason.TOO_FEW_INLIERS, "60 inliers, below 61"),
        (GateThresholds(min_inlier_ratio=0.9), RejectionReason.LOW_INLIER_RATIO, "below 0.90"),
        (GateThresholds(max_reprojection_rmse_px=0.1), RejectionReason.HIGH_REPROJECTION_ERROR, "above 0.10 px"),
        (GateThresholds(min_confidence=1.0), RejectionReason.LOW_CONFIDENCE, "below 1.00"),
    ],
)
def test_each_threshold_of_the_gate(thresholds: GateThresholds, reason: RejectionReason, words: str) -> None:
    correspondences = with_noise(exact(80), np.random.default_rng(1))
    correspondences.pixels[:20] = 5000.0
    estimate = calibrated(solved(correspondences), Calibration(), NO_VIEWS)
    assert estimate.inlier_count == 60
    assert gate(estimate, GateThresholds()) is estimate
    result = gate(estimate, thresholds)
    assert isinstance(result, Rejection)
    assert result.reason is reason
    assert result.refused is estimate
    assert words in result.detail
