"""How far poses can be believed, as samples of held-out frames and of views from beside them say."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from vloc_ros.core.calibration import calibrated_covariance, confidence_features
from vloc_ros.core.manifest import Calibration, GateThresholds
from vloc_ros.evaluation.corruptions import Severity
from vloc_ros.evaluation.records import Estimated
from vloc_ros.geometry.pose_error import error_vector
from vloc_ros.training.samples import Sample

OPEN_GATE = GateThresholds(0, 0.0, math.inf, 0.0)
FEWEST_INLIERS = 8
MARGIN = 2.0  # the robot will see views worse than those held out
FEWEST_POSES = 10  # to fit a calibration to
# Of Student's t: a few bad poses do not widen the covariance of all, and where there are none it errs on the wide side
# by some 15 %, as it should: the views of tomorrow are harder than those held out.
DEGREES_OF_FREEDOM = 5.0
FITTED = ("position_scale", "position_floor_m", "rotation_scale", "rotation_floor_deg")
# Before any view tells, sigmas double within a metre or a radian; the sigma is that of the logarithm. Only novel views
# tell: held-out frames are all about as near, where the growth could stand in for the scales and be anything.
AWAY_PRIOR, AWAY_PRIOR_SIGMA = 1.0, 1.0
RIDGE = 1.0  # keeps the confidence sober where held-out frames separate perfectly


def fit_calibration(samples: Sequence[Sample]) -> Calibration:
    """The calibration that makes the samples likeliest; the defaults where there are too few to tell."""
    common = [sample for sample in samples if not sample.wrong and sample.severity is Severity.COMMON]
    if len(common) < FEWEST_POSES:
        return Calibration()
    return _with_confidence(_fit_covariance(common), samples)


def fit_gate(samples: Sequence[Sample], calibration: Calibration, false_positive_rate: float) -> GateThresholds:
    """Thresholds that together accept at most this share of the samples that are wrong.

    First come the good poses' weakest figures with a margin: what lies far beyond everything that was ever seen is not
    believed, whatever else speaks for it. If too many of the wrong ones pass these, one limit is raised until no more
    than that share do: the one that costs fewest good poses.
    """
    good = [sample for sample in samples if sample.good]
    if len(good) < FEWEST_POSES:
        return GateThresholds()
    wrong = [sample for sample in samples if sample.wrong]
    estimates = [sample.estimate for sample in good]
    limits = GateThresholds(
        min_inliers=_least_inliers(estimates, [sample.estimate for sample in wrong], false_positive_rate),
        min_inlier_ratio=_least_ratio(_percentile([each.inlier_ratio for each in estimates], 1)),
        max_reprojection_rmse_px=round(MARGIN * _percentile([each.reprojection_rmse_px for each in estimates], 99), 3),
    )
    passing = [sample for sample in wrong if passes(sample, limits, calibration)]
    allowed = math.floor(false_positive_rate * len(wrong))
    if len(passing) <= allowed:
        return limits

    def lost(gate: GateThresholds) -> int:
        return sum(not passes(sample, gate, calibration) for sample in good)

    return min(_raised(limits, passing, calibration, allowed), key=lost)


def _raised(
    limits: GateThresholds, passing: Sequence[Sample], calibration: Calibration, allowed: int
) -> tuple[GateThresholds, ...]:
    """The limits with one of them raised so far that no more than those allowed of these samples pass."""

    def above(figures: Iterable[float], step: float) -> float:
        return (math.floor(sorted(figures, reverse=True)[allowed] / step) + 1) * step

    confidence = above((each.confidence(calibration) for each in passing), 0.001)
    ratio = above((each.estimate.inlier_ratio for each in passing), 0.001)
    return (
        replace(limits, min_confidence=min(1.0, round(confidence, 3))),
        replace(limits, min_inlier_ratio=min(1.0, round(ratio, 3))),
        replace(limits, min_inliers=round(above((each.estimate.inliers for each in passing), 1))),
    )


def passes(sample: Sample, gate: GateThresholds, calibration: Calibration) -> bool:
    """Whether the gate would believe the pose, wherever it is."""
    estimate = sample.estimate
    return (
        estimate.inliers >= gate.min_inliers
        and estimate.inlier_ratio >= gate.min_inlier_ratio
        and estimate.reprojection_rmse_px <= gate.max_reprojection_rmse_px
        and sample.confidence(calibration) >= gate.min_confidence
    )


def _least_inliers(good: Sequence[Estimated], wrong: Sequence[Estimated], false_positive_rate: float) -> int:
    """Where nearly all wrong poses have far fewer inliers than nearly all good ones, in the middle: as many times what
    the former have as the latter have of it. Else the number alone cannot decide, and only what has far fewer than
    good poses is refused for it."""
    fewest = _percentile([each.inliers for each in good], 1)
    most = _percentile([each.inliers for each in wrong], 100 * (1 - false_positive_rate)) if wrong else fewest
    least = math.sqrt(fewest * most) if MARGIN * most <= fewest else fewest / MARGIN
    return max(FEWEST_INLIERS, math.floor(least))


def _least_ratio(weakest: float) -> float:
    """The inlier ratio at which there are MARGIN times as many outliers for each inlier."""
    return round(weakest / (weakest + MARGIN * (1 - weakest)), 3)


def _percentile(figures: Sequence[float], q: float) -> float:
    return float(np.percentile(figures, q))


def _fit_covariance(samples: Sequence[Sample]) -> Calibration:
    """Scales and floors of the covariance by maximum likelihood, errors as Student's t of 6 dimensions."""
    errors = np.stack([error_vector(s.estimate.map_from_camera, s.true_map_from_camera) for s in samples])
    covariances = np.stack([sample.estimate.covariance for sample in samples])
    distances = np.array([sample.view_distance for sample in samples])[:, None, None]

    fitted = (*FITTED, "away_scale") if any(sample.novel for sample in samples) else FITTED
    unfitted = Calibration(away_scale=AWAY_PRIOR)

    def as_calibration(logarithms: NDArray[np.float64]) -> Calibration:
        return replace(unfitted, **dict(zip(fitted, np.exp(np.clip(logarithms, -9, 9)).tolist(), strict=True)))

    def cost(logarithms: NDArray[np.float64]) -> float:
        calibration = as_calibration(logarithms)
        scaled = calibrated_covariance(covariances, calibration, distances)
        squares = np.einsum("ni,nij,nj->n", errors, np.linalg.inv(scaled), errors)
        tails = (DEGREES_OF_FREEDOM + 6) * np.log1p(squares / (DEGREES_OF_FREEDOM - 2))
        prior = (math.log(calibration.away_scale / AWAY_PRIOR) / AWAY_PRIOR_SIGMA) ** 2
        return float(np.sum(np.linalg.slogdet(scaled)[1] + tails) + prior)

    # Scales and floors can stand in for each other, so there are several minima: start with and without floors.
    starts = np.log([[1.0, 1e-4, 1.0, 1e-3, AWAY_PRIOR], [1.0, 0.005, 1.0, 0.1, AWAY_PRIOR]])[:, : len(fitted)]
    best = min((minimize(cost, start, method="L-BFGS-B") for start in starts), key=lambda found: float(found.fun))
    return _rounded(as_calibration(best.x))


def _with_confidence(calibration: Calibration, samples: Sequence[Sample]) -> Calibration:
    """Ridge-regularized logistic regression of `Sample.good` on the features of the confidence."""
    features = np.array(
        [confidence_features(sample.calibrated_covariance(calibration), sample.estimate.inliers) for sample in samples]
    )
    inputs = np.column_stack([np.ones(len(samples)), features])
    good = np.array([sample.good for sample in samples], dtype=np.float64)

    def cost(weights: NDArray[np.float64]) -> float:
        scores = inputs @ weights
        return float(np.sum(np.logaddexp(0, scores) - good * scores) + RIDGE * np.sum(weights[1:] ** 2))

    bias, position, rotation, inliers = minimize(cost, np.zeros(4)).x.tolist()
    return _rounded(
        replace(
            calibration,
            confidence_bias=bias,
            confidence_position_weight=position,
            confidence_rotation_weight=rotation,
            confidence_inliers_weight=inliers,
        )
    )


def _rounded(calibration: Calibration) -> Calibration:
    """To five digits: more would be noise, and a map is read by people too."""
    return Calibration(**{name: float(f"{value:.5g}") for name, value in vars(calibration).items()})
