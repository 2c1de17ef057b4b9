"""Poses that a map gives of images whose poses are known, good images and degraded ones: what it is calibrated with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.arrays import evenly_spread
from vloc_ros.core.calibration import calibrated_covariance, confidence
from vloc_ros.core.manifest import Calibration
from vloc_ros.core.nearest_view import distance_to_nearest_view
from vloc_ros.core.types import LandmarkMap
from vloc_ros.datasets import Dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.evaluation.corruptions import CLEAN, CORRUPTIONS, Corrupted, Severity, corrupted_frame, mirrored
from vloc_ros.evaluation.evaluate import CORES, evaluate, evaluate_frames
from vloc_ros.evaluation.records import Estimated, FrameRecord
from vloc_ros.evaluation.uncertainty import is_right
from vloc_ros.geometry.pose_error import NOT_WRONG_POSE, pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.localizer import Localizer
from vloc_ros.mapping.novel_views import NovelViews
from vloc_ros.progress import Advance, no_advance
from vloc_ros.training.correction import FittedCorrection
from vloc_ros.training.pose_pairs import PosePairs

MIRRORED = 80  # mapping frames of a map of points


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
    rows = evenly_spread(len(mapping), MIRRORED).tolist()
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
