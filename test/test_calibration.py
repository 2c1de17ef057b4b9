"""Covariance and confidence: what the calibration does to a pose, and that fitting one finds the truth."""

import math
from dataclasses import replace

import numpy as np
import pytest

from vloc_ros.core.calibration import calibrated, calibrated_covariance, confidence
from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.manifest import Calibration, GateThresholds
from vloc_ros.core.types import PoseEstimate
from vloc_ros.evaluation.corruptions import Severity
from vloc_ros.evaluation.records import Estimated
from vloc_ros.geometry.pose_error import error_vector, pose_error
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.training import calibrate
from vloc_ros.training.samples import Sample

COVARIANCE = np.diag([1e-4, 4e-4, 1e-4, 1e-5, 1e-5, 4e-5])


def test_covariance_is_scaled_and_floored_and_stays_positive_definite() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6)) * 0.01
    covariance = root @ root.T
    result = calibrated_covariance(covariance, Calibration(2.0, 0.01, 3.0, 0.5, away_scale=7.0), view_distance=0.0)
    np.testing.assert_allclose(result[:3, :3], 4 * covariance[:3, :3] + 1e-4 * np.eye(3))
    np.testing.assert_allclose(result[3:, 3:], 9 * covariance[3:, 3:] + math.radians(0.5) ** 2 * np.eye(3))
    np.testing.assert_allclose(result[:3, 3:], 6 * covariance[:3, 3:])
    assert np.linalg.eigvalsh(result)[0] > 0


def test_confidence_falls_with_sigma_and_rises_with_inliers() -> None:
    calibration = Calibration()
    sure = confidence(COVARIANCE, 100, calibration)
    assert 0 < confidence(100 * COVARIANCE, 100, calibration) < sure < 1
    assert confidence(COVARIANCE, 10, calibration) < sure
    for extreme in (0.0, 1e30):
        assert 0 <= confidence(extreme * COVARIANCE, 0, calibration) <= 1


def test_an_estimate_is_calibrated_once_and_whole() -> None:
    points = Correspondences(np.zeros((4, 2)), np.zeros((4, 3)), np.ones(4), np.arange(4, dtype=np.int32))
    estimate = PoseEstimate(np.eye(4), COVARIANCE, points, np.ones(4, dtype=np.bool_), 1.0)
    result = calibrated(estimate, Calibration(position_scale=2.0), np.empty((0, 4, 4)))
    assert result.position_sigma_m == pytest.approx(2 * estimate.position_sigma_m)
    assert result.confidence == confidence(result.covariance, 4, Calibration(position_scale=2.0))
    assert result.map_from_camera is estimate.map_from_camera


def test_covariances_grow_with_the_distance_from_the_nearest_mapping_view() -> None:
    points = Correspondences(np.zeros((4, 2)), np.zeros((4, 3)), np.ones(4), np.arange(4, dtype=np.int32))
    estimate = PoseEstimate(np.eye(4), COVARIANCE, points, np.ones(4, dtype=np.bool_), 1.0)
    a_metre_off, a_quarter_turn_off, far = np.eye(4), np.eye(4), np.eye(4)
    a_metre_off[0, 3], far[0, 3] = 1.0, 50.0
    a_quarter_turn_off[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    calibration = Calibration(position_floor_m=0.01, away_scale=0.5)

    def growth(*views: np.ndarray) -> float:
        sigma = calibrated(estimate, calibration, np.stack(views)).position_sigma_m
        return sigma / math.hypot(0.02, 0.01)

    assert growth(np.eye(4), far) == pytest.approx(1)
    assert growth(far, a_metre_off) == pytest.approx(1.5)
    assert growth(a_quarter_turn_off) == pytest.approx(1 + math.pi / 4)


def test_error_vector_is_in_the_order_and_axes_of_the_covariance() -> None:
    true = from_quaternion([0.3, -0.2, 0.5, 0.8], [1, 2, 3])
    turn = from_quaternion([0, 0, math.sin(0.05), math.cos(0.05)], [0, 0, 0])
    estimated = true.copy()
    estimated[:3, :3] = turn[:3, :3] @ true[:3, :3]
    estimated[:3, 3] += [0.01, -0.02, 0.03]
    np.testing.assert_allclose(error_vector(estimated, true), [0.01, -0.02, 0.03, 0, 0, 0.1], atol=1e-12)


def sample(rng: np.random.Generator, scale: float, severity: Severity = Severity.COMMON) -> Sample:
    """A pose whose error is `scale` times what its covariance says."""
    covariance = COVARIANCE * 10 ** rng.uniform(-1, 1)
    error = scale * rng.multivariate_normal(np.zeros(6), covariance)
    angle = float(np.linalg.norm(error[3:]))
    axis = error[3:] / angle
    pose = from_quaternion([*(axis * math.sin(angle / 2)), math.cos(angle / 2)], error[:3])
    sigmas = np.sqrt(np.linalg.eigvalsh(covariance[:3, :3])[-1]), np.sqrt(np.linalg.eigvalsh(covariance[3:, 3:])[-1])
    estimated = Estimated(
        pose, covariance, 0.5, pose_error(pose, np.eye(4)), 80, 0.8, 1.0, sigmas[0], math.degrees(sigmas[1])
    )
    return Sample(estimated, np.eye(4), severity, view_distance=0.0, novel=False)


def test_fitting_finds_how_far_the_covariances_were_off() -> None:
    rng = np.random.default_rng(1)
    samples = [sample(rng, 2.0) for _ in range(400)]
    calibration = calibrate.fit_calibration(samples)
    assert 2.0 < calibration.position_scale < 2.5  # errs on the wide side
    assert 2.0 < calibration.rotation_scale < 2.5


def test_fitting_finds_how_errors_grow_away_from_the_mapping_views() -> None:
    rng = np.random.default_rng(5)
    away = rng.uniform(0, 1, 400)
    samples = [replace(sample(rng, 2.0 * (1 + 3.0 * metres)), view_distance=metres, novel=True) for metres in away]
    calibration = calibrate.fit_calibration([s for s in samples if not s.wrong])
    assert 2.0 < calibration.position_scale < 2.6
    assert 2.0 < calibration.away_scale < 3.5


def test_frames_beside_the_path_do_not_tell_how_errors_grow_away_from_it() -> None:
    rng = np.random.default_rng(6)
    away = rng.uniform(0, 0.2, 100)
    samples = [replace(sample(rng, 2.0 * (1 + 10.0 * metres)), view_distance=metres) for metres in away]
    calibration = calibrate.fit_calibration([s for s in samples if not s.wrong])
    assert calibration.away_scale == 1.0
    assert calibration.position_scale > 3.0


def test_confidences_are_the_frequencies_of_being_right() -> None:
    rng = np.random.default_rng(2)
    calibration = calibrate.fit_calibration([sample(rng, 2.0) for _ in range(600)])
    fresh = [sample(rng, 2.0) for _ in range(600)]
    said = np.array([s.confidence(calibration) for s in fresh])
    right = np.array([s.good for s in fresh])
    for low, high in ((0.0, 0.6), (0.6, 0.9), (0.9, 1.0)):
        chosen = (said >= low) & (said < high)
        assert chosen.sum() > 20
        assert right[chosen].mean() == pytest.approx(said[chosen].mean(), abs=0.12)


def with_figures(found: Sample, inliers: int, ratio: float = 0.8, rmse_px: float = 1.0) -> Sample:
    return replace(
        found, estimate=replace(found.estimate, inliers=inliers, inlier_ratio=ratio, reprojection_rmse_px=rmse_px)
    )


def test_the_gate_lets_no_more_wrong_poses_pass_than_wanted() -> None:
    rng = np.random.default_rng(3)
    good = [sample(rng, 1.0) for _ in range(200)]
    hopeless = [with_figures(sample(rng, 1.0, Severity.HOPELESS), int(rng.integers(5, 120))) for _ in range(100)]
    calibration = calibrate.fit_calibration(good + hopeless)

    def passed(rate: float) -> int:
        gate = calibrate.fit_gate(good + hopeless, calibration, rate)
        return sum(calibrate.passes(each, gate, calibration) for each in hopeless)

    assert passed(0.01) <= 1
    assert 20 < passed(0.3) <= 30


@pytest.mark.parametrize("figures", [(20, 0.8, 1.0), (80, 0.1, 1.0), (80, 0.8, 9.0)])
def test_wrong_poses_that_another_limit_refuses_do_not_raise_the_confidence_asked_for(
    figures: tuple[int, float, float],
) -> None:
    rng = np.random.default_rng(7)
    good = [sample(rng, 1.0) for _ in range(100)]
    sure = [replace(each, severity=Severity.HOPELESS) for each in good]  # as confident as the good ones
    refused = [with_figures(each, *figures) for each in sure]
    calibration = calibrate.fit_calibration(good)
    lenient, strict = (calibrate.fit_gate(good + wrong, calibration, 0.0) for wrong in (refused, sure))
    assert lenient.min_confidence == GateThresholds().min_confidence < strict.min_confidence
    assert not any(calibrate.passes(each, lenient, calibration) for each in refused)


def test_the_limit_is_raised_that_costs_fewest_good_poses() -> None:
    rng = np.random.default_rng(9)
    good = [sample(rng, 1.0) for _ in range(100)]
    sure = [with_figures(replace(each, severity=Severity.HOPELESS), 80, ratio=0.75) for each in good]
    calibration = calibrate.fit_calibration(good)
    gate = calibrate.fit_gate(good + sure, calibration, 0.0)
    assert 0.75 < gate.min_inlier_ratio < 0.8
    assert gate.min_confidence == GateThresholds().min_confidence
    assert all(calibrate.passes(each, gate, calibration) for each in good if each.confidence(calibration) > 0.2)
    assert not any(calibrate.passes(each, gate, calibration) for each in sure)


def test_inliers_are_asked_for_in_the_middle_between_those_of_wrong_and_of_good_poses() -> None:
    rng = np.random.default_rng(8)
    good = [sample(rng, 1.0) for _ in range(50)]  # 80 inliers
    for wrong, least in (
        (5, 20),
        (20, 40),
        (45, 46),
        (90, 40),
    ):  # from 41 on half is asked for, and raised if that is free
        hopeless = [with_figures(sample(rng, 1.0, Severity.HOPELESS), wrong) for _ in range(20)]
        assert calibrate.fit_gate(good + hopeless, Calibration(), 0.01).min_inliers == least
    assert calibrate.fit_gate(good, Calibration(), 0.01).min_inliers == 40


def test_too_few_good_poses_leave_the_defaults() -> None:
    rng = np.random.default_rng(4)
    few = [sample(rng, 1.0) for _ in range(5)] + [sample(rng, 1.0, Severity.HOPELESS) for _ in range(50)]
    assert calibrate.fit_calibration(few) == Calibration()
    assert calibrate.fit_gate(few, Calibration(), 0.01) == GateThresholds()
