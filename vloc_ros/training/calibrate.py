"""What held-out frames, good ones, degraded ones and views from beside them, say of how far poses can be believed."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from vloc_ros.core.calibration import calibrated_covariance, confidence, confidence_features
from vloc_ros.core.manifest import Calibration, GateThresholds
from vloc_ros.core.nearest_view import distance_to_nearest_view
from vloc_ros.core.types import LandmarkMap
from vloc_ros.datasets import Dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.evaluation.corruptions import CLEAN, CORRUPTIONS, Corrupted, Severity, corrupted_frame, mirrored
from vloc_ros.evaluation.evaluate import CORES, evaluate, evaluate_frames
from vloc_ros.evaluation.records import Estimated, FrameRecord
from vloc_ros.evaluation.uncertainty import is_right
from vloc_ros.geometry.pose_error import NOT_WRONG_POSE, error_vector, pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.localizer import Localizer
from vloc_ros.mapping.novel_views import NovelViews
from vloc_ros.progress import Advance, no_advance
from vloc_ros.training.correction import FittedCorrection
from vloc_ros.training.pose_pairs import PosePairs

OPEN_GATE = GateThresholds(0, 0.0, math.inf, 0.0)
FEWEST_INLIERS = 8
MIRRORED = 80  # mapping frames of a map of points
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


@dataclass(frozen=True)
class Sample:
    """A pose from one image through one corruption, as solved: neither calibrated nor gated. `view_distance`: that of
    NearestView. `novel`: of a view from beside the path, or of one without the mapping views near it. `place`: the
    number of the true one; `hidden` and `block`: as PosePairs has them."""

    estimate: Estimated
    true_map_from_camera: NDArray[np.float64]
    severity: Severity
    view_distance: float
    novel: bool
    place: int = 0
    hidden: float = 0.0
    block: int = 0

    def calibrated_covariance(self, calibration: Calibration) -> NDArray[np.float64]:
        """(6, 6), as at run time."""
        return calibrated_covariance(self.estimate.covariance, calibration, self.view_distance)

    def confidence(self, calibration: Calibration) -> float:
        """As at run time."""
        return confidence(self.calibrated_covariance(calibration), self.estimate.inliers, calibration)

    @property
    def good(self) -> bool:
        return self.severity is not Severity.HOPELESS and is_right(self.estimate)

    @property
    def wrong(self) -> bool:
        return self.severity is Severity.HOPELESS or not self.estimate.error.within(NOT_WRONG_POSE)


def collect_samples(
    localizer: Localizer,
    held_out: Dataset,
    novel: Sequence[NovelViews],
    clean: Sequence[FrameRecord],
    advance: Advance = no_advance,
) -> list[Sample]:
    """What a map with neither calibration nor gate says of held-out frames, `clean` as they are and then through every
    corruption, and of the novel views beside them. Every image is decoded once."""
    corruptions = [corruption for corruption in CORRUPTIONS if corruption.name != CLEAN]
    severities = [corruption.severity for corruption in corruptions] * len(held_out)
    frames = (
        corrupted_frame(frame, corruption.degrade, index)
        for index in range(len(held_out))
        for frame in (held_out.frame(index),)
        for corruption in corruptions
    )
    count = len(severities) + sum(map(len, novel))

    def told(before: int) -> Callable[[int], object]:
        return lambda done: advance(before + done, count)

    records = evaluate_frames(localizer, frames, told(0), CORES).records
    samples = _samples(clean, [Severity.COMMON] * len(clean), localizer.landmark_map, novel=False)
    samples += _samples(records, severities, localizer.landmark_map, novel=False)
    before = len(severities)
    for views in novel:
        rendered = (views.frame(number) for number in range(len(views)))
        found = evaluate_frames(localizer, rendered, told(before), CORES).records
        samples += _samples(found, [Severity.COMMON] * len(found), localizer.landmark_map, novel=True)
        before += len(views)
    return samples


def hopeless_samples(localizer: Localizer, mapping: Dataset, advance: Advance = no_advance) -> list[Sample]:
    """The same of MIRRORED mapping frames. A share of wrong poses cannot be told from fewer than a hundred."""
    rows = np.unique(np.linspace(0, len(mapping) - 1, min(MIRRORED, len(mapping))).round().astype(int)).tolist()
    records = evaluate(localizer, Corrupted(Subset(mapping, rows), mirrored), advance, CORES).records
    return _samples(records, [Severity.HOPELESS] * len(records), localizer.landmark_map, novel=False)


def _samples(
    records: Sequence[FrameRecord], severities: Sequence[Severity], landmark_map: LandmarkMap, novel: bool
) -> list[Sample]:
    return [
        sample_of(record.solved, record.true_map_from_camera, record.true_place, landmark_map, severity, novel=novel)
        for record, severity in zip(records, severities, strict=True)
        if record.solved is not None
    ]


def sample_of(
    solved: Estimated,
    true_map_from_camera: NDArray[np.float64],
    true_place: str | None,
    landmark_map: LandmarkMap,
    severity: Severity = Severity.COMMON,
    *,
    novel: bool,
    hidden: float = 0.0,
    block: int = 0,
) -> Sample:
    """A pose as a map gave it."""
    place = landmark_map.manifest.require_index(true_place)
    view_distance = distance_to_nearest_view(landmark_map.views_of(true_place), solved.map_from_camera)
    return Sample(solved, true_map_from_camera, severity, view_distance, novel, place, hidden, block)


def pairs_of(samples: Sequence[Sample]) -> PosePairs:
    """Of the samples in the right place."""
    return PosePairs.of(
        [
            (each.estimate.map_from_camera, each.true_map_from_camera, each.place, each.block, each.hidden)
            for each in samples
            if each.estimate.error.in_right_place
        ]
    )


def corrected_samples(samples: Sequence[Sample], fitted: FittedCorrection | None) -> list[Sample]:
    """The same as the map's field, if it has one, corrects them, without the views that are hidden from them."""
    if fitted is None:
        return list(samples)
    steps = iter(fitted.steps(pairs_of(samples)))
    return [_moved(each, next(steps)) if each.estimate.error.in_right_place else each for each in samples]


def _moved(sample: Sample, step: NDArray[np.float64]) -> Sample:
    pose = perturb(sample.estimate.map_from_camera, step)
    error = pose_error(pose, sample.true_map_from_camera)
    return replace(sample, estimate=replace(sample.estimate, map_from_camera=pose, error=error))


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
