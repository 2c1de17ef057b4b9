"""Can a localizer be believed? Its covariances and confidences against the errors that it made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.evaluation.records import Estimated, FrameRecord
from vloc_ros.geometry.pose_error import RIGHT_POSE, error_vector
from vloc_ros.geometry.transforms import Matrix

Float = NDArray[np.float64]

DIMENSIONS = 6
# Share of errors -> what their squared Mahalanobis length stays below: quantiles of chi^2 with 6 degrees of freedom.
CHI2_QUANTILES: Mapping[float, float] = {0.50: 5.348121, 0.90: 10.644641, 0.95: 12.591587}


@dataclass(frozen=True, eq=False)
class Reliability:
    """Frames whose confidence was alike: how many, their mean confidence, and the share that was right."""

    count: int
    confidence: float
    accuracy: float


def is_right(estimate: Estimated) -> bool:
    """Whether the pose is as good as its confidence speaks of."""
    return estimate.error.within(RIGHT_POSE)


def nees(records: Sequence[FrameRecord]) -> Float:
    """Normalized estimation error squared of the accepted poses in the right place, e^T C^-1 e: 6 on average where
    covariances are true."""
    accepted = [
        (record.outcome, record.true_map_from_camera)
        for record in records
        if isinstance(record.outcome, Estimated) and record.outcome.error.in_right_place
    ]
    return np.array([squared_error(e.map_from_camera, true, e.covariance) for e, true in accepted])


def squared_error(map_from_camera: Matrix, true_map_from_camera: Matrix, covariance: Matrix) -> float:
    """Of one pose, in standard deviations."""
    error = error_vector(map_from_camera, true_map_from_camera)
    return float(error @ np.linalg.solve(covariance, error))


def coverage(squares: Float) -> dict[float, float]:
    """Share of the errors inside the ellipsoid that should hold 50, 90 and 95 % of them. `squares` as of `nees`."""
    return {share: float(np.mean(squares <= limit)) for share, limit in CHI2_QUANTILES.items()}


def reliability(estimates: Sequence[Estimated], bins: int = 10) -> list[Reliability]:
    """The reliability diagram: estimates in bins of equal width of confidence, empty ones left out."""
    confidences = np.array([estimate.confidence for estimate in estimates])
    right = np.array([is_right(estimate) for estimate in estimates], dtype=np.float64)
    which = np.minimum((confidences * bins).astype(int), bins - 1)
    return [
        Reliability(int((which == b).sum()), float(confidences[which == b].mean()), float(right[which == b].mean()))
        for b in np.unique(which)
    ]


def recall_against_rejection(
    records: Sequence[FrameRecord], score: Callable[[Estimated], float]
) -> tuple[Float, Float]:
    """(rejected, recall), each (N + 1,): what share of all right poses remains when the frames with the lowest scores
    are rejected, none to all of them. A frame without a pose is rejected first, a refused pose counts as a pose.

    Frames of the same score are rejected right ones first, so that a score that says nothing gains nothing.
    """
    solved = [record.solved for record in records]
    scores = [-np.inf if estimate is None else score(estimate) for estimate in solved]
    right = np.array([estimate is not None and is_right(estimate) for estimate in solved])
    order = np.lexsort((~right, np.array(scores)))
    remaining = right.sum() - np.concatenate([[0], np.cumsum(right[order])])
    return np.linspace(0, 1, len(records) + 1), remaining / max(1, int(right.sum()))


def area(x: Float, y: Float) -> float:
    """Under a polyline (trapezoids)."""
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
