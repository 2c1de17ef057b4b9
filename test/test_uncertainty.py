"""NEES, coverage, reliability and rejection curves: right where the truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from vloc_ros.evaluation.records import Estimated, FrameRecord, Rejected
from vloc_ros.evaluation.uncertainty import CHI2_QUANTILES, area, coverage, nees, recall_against_rejection, reliability
from vloc_ros.geometry.pose_error import PoseError
from vloc_ros.geometry.transforms import from_quaternion

SIGMAS = np.array([0.01, 0.02, 0.03, 0.001, 0.002, 0.003])


def record(error: np.ndarray, confidence: float = 0.5, accepted: bool = True) -> FrameRecord:
    """A pose at the origin that is off by `error` (6,), with the covariance of SIGMAS."""
    angle = float(np.linalg.norm(error[3:]))
    axis = error[3:] / angle if angle else np.zeros(3)
    pose = from_quaternion([*(axis * math.sin(angle / 2)), math.cos(angle / 2)], error[:3])
    estimate = Estimated(
        pose,
        np.diag(SIGMAS**2),
        confidence,
        PoseError(float(np.linalg.norm(error[:3])), angle),
        50,
        0.5,
        1.0,
        0.03,
        0.2,
    )
    outcome = estimate if accepted else Rejected("low_confidence", "why", estimate)
    return FrameRecord("frame", 0, np.eye(4), outcome, {})


def off_by(metres: float, confidence: float) -> FrameRecord:
    return record(np.array([metres, 0, 0, 0, 0, 0.0]), confidence)


def test_true_covariances_have_a_nees_of_six_and_full_ellipsoids() -> None:
    rng = np.random.default_rng(0)
    squares = nees([record(rng.normal(size=6) * SIGMAS) for _ in range(2000)])
    assert squares.mean() == pytest.approx(6, rel=0.05)
    for share, inside in coverage(squares).items():
        assert inside == pytest.approx(share, abs=0.03)


def test_too_small_covariances_are_found_out() -> None:
    rng = np.random.default_rng(1)
    squares = nees([record(2 * rng.normal(size=6) * SIGMAS) for _ in range(500)])
    assert squares.mean() == pytest.approx(24, rel=0.1)
    assert coverage(squares)[0.95] < 0.5


def test_only_accepted_poses_count() -> None:
    error = SIGMAS.copy()
    assert len(nees([record(error), record(error, accepted=False)])) == 1
    assert nees([record(error)])[0] == pytest.approx(6)


@pytest.mark.needs("scipy")
def test_the_quantiles_are_those_of_chi_squared() -> None:
    from scipy import stats

    for share, limit in CHI2_QUANTILES.items():
        assert stats.chi2.cdf(limit, 6) == pytest.approx(share, abs=1e-6)


def test_reliability_of_an_honest_and_a_boastful_confidence() -> None:
    honest = [off_by(0.01 if k < 8 else 0.2, 0.8).solved for k in range(10)]
    (group,) = reliability([estimate for estimate in honest if estimate])
    assert group.count == 10
    assert [group.confidence, group.accuracy] == pytest.approx([0.8, 0.8])
    (group,) = reliability([replace(estimate, confidence=1.0) for estimate in honest if estimate])
    assert group.confidence == 1.0
    assert group.accuracy == pytest.approx(0.8)


def test_rejection_curves_of_a_perfect_a_useless_and_a_perverse_score() -> None:
    records = [off_by(0.01, 0.9), off_by(0.3, 0.1), off_by(0.02, 0.8), off_by(0.4, 0.2)]
    rejected, recall = recall_against_rejection(records, lambda e: e.confidence)
    np.testing.assert_allclose(rejected, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(recall, [1, 1, 1, 0.5, 0])
    assert area(rejected, recall) == pytest.approx(0.75)  # the best possible: 1 - half of the share of right poses
    assert area(*recall_against_rejection(records, lambda e: 0.0)) < 0.5
    assert area(*recall_against_rejection(records, lambda e: -e.confidence)) == pytest.approx(0.25)


def test_frames_without_a_pose_are_rejected_first() -> None:
    nothing = FrameRecord("frame", 0, np.eye(4), Rejected("no_pose", "why"), {})
    _, recall = recall_against_rejection([off_by(0.01, 0.0), nothing], lambda e: e.confidence)
    np.testing.assert_allclose(recall, [1, 1, 0])


def test_no_right_pose_at_all() -> None:
    rejected, recall = recall_against_rejection([off_by(1.0, 0.5)], lambda e: e.confidence)
    assert area(rejected, recall) == 0
