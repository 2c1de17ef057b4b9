"""What held-out frames, good ones, degraded ones and views from beside them, say of how far poses can be believed."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from vloc_ros.core.calibration import calibrated_covariance, confidence, confidence_features
from vloc_ros.core.manifest import Calibration, GateThresholds
from vloc_ros.core.nearest_view import distance_to_nearest_view
from vloc_ros.core.types import LandmarkMap
from vloc_ros.datasets import Dataset
from vloc_ros.evaluation.corruptions import CORRUPTIONS, Corrupted, Severity
from vloc_ros.evaluation.evaluate import evaluate, evaluate_frames
from vloc_ros.evaluation.records import Estimated, FrameRecord
from vloc_ros.evaluation.uncertainty import is_right
from vloc_ros.geometry.pose_error import NOT_WRONG_POSE, error_vector
from vloc_ros.localizer import Localizer
from vloc_ros.mapping.novel_views import NovelViews
from vloc_ros.progress import Advance, no_advance

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


@dataclass(frozen=True)
class Sample:
    """A pose from one image through one corruption, as solved: neither calibrated nor gated. `view_distance`: that of
    NearestView. `novel`: of a view from beside the path, not of a frame."""

    estimate: Estimated
    true_map_from_camera: NDArray[np.float64]
    severity: Severity
    view_distance: float
    novel: bool

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
    localizer: Localizer, held_out: Dataset, novel: Sequence[NovelViews], advance: Advance = no_advance
) -> list[Sample]:
    """Localize every held-out frame through every corruption, and the novel views beside them, with a map that has
    neither calibration nor gate."""
    samples: list[Sample] = []
    steps = len(CORRUPTIONS) + len(novel)
    for done, corruption in enumerate(CORRUPTIONS, start=1):
        records = evaluate(localizer, Corrupted(held_out, corruption.degrade)).records
        samples.extend(_samples(records, corruption.severity, localizer.landmark_map, novel=False))
        advance(done, steps)
    for done, views in enumerate(novel, start=len(CORRUPTIONS) + 1):
        records = evaluate_frames(localizer, (views.frame(number) for number in range(len(views)))).records
        samples.extend(_samples(records, Severity.COMMON, localizer.landmark_map, novel=True))
        advance(done, steps)
    return samples


def _samples(
    records: Sequence[FrameRecord], severity: Severity, landmark_map: LandmarkMap, novel: bool
) -> Iterator[Sample]:
    for record in records:
        if record.solved is not None:
            view_distance = distance_to_nearest_view(landmark_map.views_of(record.place), record.solved.map_from_camera)
            yield Sample(record.solved, record.true_map_from_camera, severity, view_distance, novel)


def fit_calibration(samples: Sequence[Sample]) -> Calibration:
    """The calibration that makes the samples likeliest; the defaults where there are too few to tell."""
    common = [sample for sample in samples if not sample.wrong and sample.severity is Severity.COMMON]
    if len(common) < FEWEST_POSES:
        return Calibration()
    return _with_confidence(_fit_covariance(common), samples)


def fit_gate(samples: Sequence[Sample], calibration: Calibration, false_positive_rate: float) -> GateThresholds:
    """Thresholds that accept at most this share of the samples that are wrong.

    The confidence decides. The other limits are the good poses' weakest figures with a margin: what lies far beyond
    everything that was ever seen is not believed, whatever the confidence says of it.
    """
    good = [sample.estimate for sample in samples if sample.good]
    if len(good) < FEWEST_POSES:
        return GateThresholds()

    def percentile(figure: Callable[[Estimated], float], q: float) -> float:
        return float(np.percentile([figure(estimate) for estimate in good], q))

    wrong = [sample.confidence(calibration) for sample in samples if sample.wrong]
    least = float(np.quantile(wrong, 1 - false_positive_rate, method="higher")) if wrong else 0.0
    return GateThresholds(
        min_inliers=max(FEWEST_INLIERS, math.floor(percentile(lambda e: e.inliers, 1) / MARGIN)),
        min_inlier_ratio=round(percentile(lambda e: e.inlier_ratio, 1) / MARGIN, 3),
        max_reprojection_rmse_px=round(MARGIN * percentile(lambda e: e.reprojection_rmse_px, 99), 3),
        min_confidence=max(GateThresholds().min_confidence, math.ceil(1000 * least) / 1000),
    )


def _fit_covariance(samples: Sequence[Sample]) -> Calibration:
    """Scales and floors of the covariance by maximum likelihood, errors as Student's t of 6 dimensions."""
    errors = np.stack([error_vector(s.estimate.map_from_camera, s.true_map_from_camera) for s in samples])

    fitted = (*FITTED, "away_scale") if any(sample.novel for sample in samples) else FITTED
    unfitted = Calibration(away_scale=AWAY_PRIOR)

    def as_calibration(logarithms: NDArray[np.float64]) -> Calibration:
        return replace(unfitted, **dict(zip(fitted, np.exp(np.clip(logarithms, -9, 9)).tolist(), strict=True)))

    def cost(logarithms: NDArray[np.float64]) -> float:
        calibration = as_calibration(logarithms)
        scaled = np.stack([sample.calibrated_covariance(calibration) for sample in samples])
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
