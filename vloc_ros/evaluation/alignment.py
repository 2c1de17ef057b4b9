"""Ground truth of another frame or another clock: what brings it into the map's. Needs scipy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy.optimize import minimize_scalar

from vloc_ros.core.nearest_view import nearest_view
from vloc_ros.errors import DatasetError
from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.evaluation.records import Estimated, FrameRecord
from vloc_ros.geometry.interpolation import Known, Stamps
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.rigid_alignment import align_poses, corner_distances
from vloc_ros.geometry.transforms import Matrix, pose_vector

LEAST_FRAMES = 3
SEARCH_S, STEP_S = 1.0, 0.01  # offsets that are tried, and how finely at first
LEAST_EFFECT = 0.002  # metres or radians on the median over that range: with less, the camera stood still


class GroundTruthAt(Protocol):
    """Ground truth by time, such as `vloc_ros.bags.ground_truth.GroundTruth.at`."""

    def __call__(self, stamps_ns: Stamps, offset_s: float | None = None) -> tuple[Matrix, Known]:
        """`map_from_camera` (M, 4, 4) at the stamps (M,) of the images' clock, and which are known."""
        ...


@dataclass(frozen=True)
class Correction:
    """What to do about ground truth of another frame or clock. `offset_s`: its clock minus the images', if known."""

    align: bool = False
    search_offset: bool = False
    offset_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Alignment:
    """The rigid `map_from_truth` (4, 4), from so many frames, and the median distance (m) before and with it."""

    map_from_truth: Matrix
    frames: int
    before_m: float
    after_m: float

    def to_json(self) -> dict[str, Any]:
        """In JSON's types; the transform as the numbers of POSE_COLUMNS."""
        return {
            "map_from_truth": pose_vector(self.map_from_truth).tolist(),
            "frames": self.frames,
            "median_before_m": self.before_m,
            "median_after_m": self.after_m,
        }


@dataclass(frozen=True)
class TimeOffset:
    """Truth's clock minus the images', and the median distance (m) between positions before, where there was truth, and
    with it; both after the alignment, if there is one."""

    offset_s: float
    before_m: float | None
    after_m: float

    def to_json(self) -> dict[str, Any]:
        """In JSON's types."""
        return {"offset_s": self.offset_s, "median_before_m": self.before_m, "median_after_m": self.after_m}


def corrected(
    evaluation: Evaluation, truth_at: GroundTruthAt, correction: Correction, mapping_views: Matrix
) -> Evaluation:
    """The evaluation with its truth at the offset and in the frame where it fits the accepted poses best, as wanted.

    `source` says what was found, and how many frames were dropped because they have no truth at that offset. Raises
    DatasetError as `search_time_offset` and `align`.
    """
    records, source = evaluation.records, dict(evaluation.source)
    if correction.search_offset:
        found = search_time_offset(records, truth_at, correction.offset_s, correction.align)
        poses, known = truth_at(np.array([record.stamp_ns for record in records]), found.offset_s)
        records = against([r for r, k in zip(records, known, strict=True) if k], poses[known], mapping_views)
        source["time_offset_search"] = {**found.to_json(), "dropped": int((~known).sum())}
    if correction.align:
        alignment = align(records)
        truth = np.stack([record.true_map_from_camera for record in records])
        records = against(records, alignment.map_from_truth @ truth, mapping_views)
        source["alignment"] = alignment.to_json()
    return Evaluation(tuple(records), source)


def align(records: Sequence[FrameRecord]) -> Alignment:
    """What brings the truth into the map's frame, from the accepted poses. Raises DatasetError for too few of them."""
    _, truth, estimates = _accepted(records)
    map_from_truth, good = align_poses(truth, estimates)
    before_m, after_m = _median_m(truth, estimates), _median_m(map_from_truth @ truth, estimates)
    return Alignment(map_from_truth, int(good.sum()), before_m, after_m)


def search_time_offset(
    records: Sequence[FrameRecord], truth_at: GroundTruthAt, start_s: float, aligned: bool
) -> TimeOffset:
    """The offset within a second of `start_s` at which truth and accepted poses agree best, a radian counting about as
    a metre; the median of them decides.

    `aligned`: after the best rigid alignment at that offset. Raises DatasetError where the poses do not tell: too
    few, a camera that hardly moves, or a best offset at the end of the range.
    """
    stamps, _, estimates = _accepted(records)

    def fitted(offset_s: float) -> tuple[Matrix, Matrix] | None:
        poses, known = truth_at(stamps, offset_s)
        if known.sum() < max(LEAST_FRAMES, len(known) / 2):
            return None
        truth = poses[known]
        return (align_poses(truth, estimates[known])[0] @ truth if aligned else truth), estimates[known]

    def distance(offset_s: float) -> float:
        pair = fitted(offset_s)
        return float(np.median(corner_distances(*pair))) if pair else float("inf")

    offsets = start_s + np.arange(-round(SEARCH_S / STEP_S), round(SEARCH_S / STEP_S) + 1) * STEP_S
    distances = np.array([distance(float(offset)) for offset in offsets])
    best = int(np.argmin(distances))
    finite = distances[np.isfinite(distances)]
    if not len(finite) or finite.max() - finite.min() < LEAST_EFFECT:
        raise DatasetError("the time offset cannot be found: the camera hardly moves; give --time-offset SECONDS")
    if not 0 < best < len(offsets) - 1:
        raise DatasetError(
            f"the time offset cannot be found: the best is at the end of the range, {offsets[best]:+.2f} s; "
            "give --time-offset SECONDS"
        )
    refined = minimize_scalar(distance, bounds=(offsets[best - 1], offsets[best + 1]), method="bounded")
    offset_s = float(refined.x) if refined.fun < distances[best] else float(offsets[best])
    start, found = fitted(start_s), fitted(offset_s)
    assert found is not None  # its distance is finite
    return TimeOffset(offset_s, _median_m(*start) if start else None, _median_m(*found))


def against(records: Sequence[FrameRecord], truth: Matrix, mapping_views: Matrix) -> tuple[FrameRecord, ...]:
    """The same records measured against other true poses (N, 4, 4)."""
    return tuple(_against(record, pose, mapping_views) for record, pose in zip(records, truth, strict=True))


def _accepted(records: Sequence[FrameRecord]) -> tuple[Stamps, Matrix, Matrix]:
    """Stamps (N,), true poses and estimates (N, 4, 4) of the accepted frames in the right place."""
    accepted = [
        (r.stamp_ns, r.true_map_from_camera, r.outcome)
        for r in records
        if isinstance(r.outcome, Estimated) and r.outcome.error.in_right_place
    ]
    if len(accepted) < LEAST_FRAMES:
        raise DatasetError(f"a fit of the truth needs {LEAST_FRAMES} accepted poses, there are {len(accepted)}")
    stamps, truth, outcomes = zip(*accepted, strict=True)
    return np.array(stamps), np.stack(truth), np.stack([outcome.map_from_camera for outcome in outcomes])


def _median_m(truth: Matrix, estimates: Matrix) -> float:
    return float(np.median(np.linalg.norm(truth[:, :3, 3] - estimates[:, :3, 3], axis=1)))


def _against(record: FrameRecord, truth: Matrix, mapping_views: Matrix) -> FrameRecord:
    def measured(estimated: Estimated) -> Estimated:
        if not estimated.error.in_right_place:
            return estimated
        return replace(estimated, error=pose_error(estimated.map_from_camera, truth))

    outcome = record.outcome
    if isinstance(outcome, Estimated):
        outcome = measured(outcome)
    elif outcome.refused:
        outcome = replace(outcome, refused=measured(outcome.refused))
    view = nearest_view(mapping_views, truth)
    return replace(record, true_map_from_camera=truth, outcome=outcome, nearest_view=view)
