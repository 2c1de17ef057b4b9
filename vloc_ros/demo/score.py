"""How good the answers to a drive were, in figures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from vloc_ros.demo.answers import Answer, Played, odometry_in_map, with_odometry
from vloc_ros.geometry.pose_error import NOT_WRONG_POSE, RIGHT_POSE, PoseError, pose_error
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.tracking.status import CHECKED, FLOW, PRIOR


@dataclass(frozen=True)
class Percentiles:
    """Median and 95th percentile."""

    p50: float
    p95: float


@dataclass(frozen=True)
class Accuracy:
    """Errors of the poses that there were."""

    metres: Percentiles
    degrees: Percentiles


@dataclass(frozen=True)
class Recovery:
    """From being carried to the first right pose: images, that one included, and seconds until it came."""

    frames: int
    seconds: float


@dataclass(frozen=True)
class CoveredScore:
    """While a camera was covered: how many images, how many of them were dropped, and the share of right poses."""

    camera: str
    images: int
    dropped: int
    recall: float


@dataclass(frozen=True)
class PlaceScore:
    """On a drive through several places: how many poses were published, how many of them in a place where the robot was
    not, and how often it changed places."""

    poses: int
    wrong: int
    changes: int


@dataclass(frozen=True)
class Score:
    """The figures of a drive, None for what is not known. `priors`: images that were first searched where the track
    expected them, `followed`: that were followed from an earlier one, `checked`: of these, that the networks localized
    afterwards; `cpu_percent`: processor time of the relocalizer, of one core's. `recoveries`: one per time the robot
    was carried, None for a time that it never found itself again. `inliers`: the median by camera, of several."""

    images: int
    fixes: int
    dropped: int
    first_fix_s: float | None
    has_truth: bool
    recall: float
    pose: Accuracy | None
    map_to_base: Accuracy | None
    odometry_alone: PoseError | None
    latency_ms: Percentiles | None
    added_ms: Percentiles | None
    recoveries: tuple[Recovery | None, ...] = field(default=())
    covered: CoveredScore | None = None
    inliers: Mapping[str, float] = field(default_factory=dict)
    places: PlaceScore | None = None
    filtered: Accuracy | None = None
    priors: int = 0
    followed: int = 0
    checked: int = 0
    cpu_percent: float | None = None


def score(answers: Sequence[Answer], first_fix_s: float | None, cpu_percent: float | None = None) -> Score:
    """The figures of all images of a drive, in order."""
    errors = [_error(answer.pose, answer) for answer in answers]
    found = [error for error in errors if error is not None]
    tf_errors = [error for answer in answers if (error := _error(answer.from_tf, answer)) is not None]
    filtered = [_error(answer.filtered.map_from_base, answer) for answer in answers if answer.filtered]
    latencies = [a.latency_ms for a in answers if a.latency_ms is not None]
    added = [a.latency_ms - a.localize_ms for a in answers if a.latency_ms is not None and a.localize_ms is not None]
    return Score(
        images=len(answers),
        fixes=sum(answer.pose is not None for answer in answers),
        dropped=sum(not answer.reported for answer in answers),
        first_fix_s=first_fix_s,
        has_truth=any(answer.played.map_from_base is not None for answer in answers),
        recall=sum(error.within(RIGHT_POSE) for error in found) / max(1, len(answers)),
        pose=_accuracy(found),
        map_to_base=_accuracy(tf_errors),
        odometry_alone=_odometry_alone([answer.played for answer in answers]),
        latency_ms=_percentiles(latencies),
        added_ms=_percentiles(added),
        filtered=_accuracy([error for error in filtered if error is not None]),
        priors=sum(answer.search == PRIOR for answer in answers),
        followed=sum(answer.search in (FLOW, CHECKED) for answer in answers),
        checked=sum(answer.search == CHECKED for answer in answers),
        cpu_percent=cpu_percent,
        recoveries=tuple(_recovery(answers[k:], errors[k:]) for k, a in enumerate(answers) if a.played.kidnapped),
        covered=_covered(answers, errors),
        inliers=_median_inliers(answers),
        places=_places(answers),
    )


def _places(answers: Sequence[Answer]) -> PlaceScore | None:
    truths = [answer.played.place for answer in answers]
    poses = [answer for answer in answers if answer.pose is not None and answer.place]
    if not any(truths) or not poses:
        return None
    changes = sum(one != other for one, other in pairwise(truths))
    return PlaceScore(len(poses), sum(answer.place != answer.played.place for answer in poses), changes)


def _covered(answers: Sequence[Answer], errors: Sequence[PoseError | None]) -> CoveredScore | None:
    found = [error for answer, error in zip(answers, errors, strict=True) if answer.played.covered]
    if not found:
        return None
    camera = next(answer.played.covered for answer in answers if answer.played.covered)
    right = sum(error is not None and error.within(RIGHT_POSE) for error in found)
    dropped = sum(answer.played.covered != "" and not answer.reported for answer in answers)
    return CoveredScore(camera, len(found), dropped, right / len(found))


def _median_inliers(answers: Sequence[Answer]) -> dict[str, float]:
    names = dict.fromkeys(name for answer in answers for name in answer.inliers)
    counts = {name: [answer.inliers[name] for answer in answers if name in answer.inliers] for name in names}
    return {name: float(np.median(found)) for name, found in counts.items()}


def _error(pose: Matrix | None, answer: Answer) -> PoseError | None:
    truth = answer.played.map_from_base
    return None if pose is None or truth is None else pose_error(pose, truth)


def _percentiles(values: Sequence[float]) -> Percentiles | None:
    return Percentiles(*np.percentile(values, (50, 95)).tolist()) if values else None


def _accuracy(errors: Sequence[PoseError]) -> Accuracy | None:
    metres = _percentiles([error.translation_m for error in errors])
    degrees = _percentiles([math.degrees(error.rotation_rad) for error in errors])
    return Accuracy(metres, degrees) if metres and degrees else None


def _odometry_alone(played: Sequence[Played]) -> PoseError | None:
    known = with_odometry(played)
    return pose_error(odometry_in_map(played)[-1], known[-1][0]) if known else None


def _recovery(answers: Sequence[Answer], errors: Sequence[PoseError | None]) -> Recovery | None:
    """Of a robot that was carried just before the first of these images."""
    for count, (answer, error) in enumerate(zip(answers, errors, strict=True), start=1):
        if error is not None and error.within(NOT_WRONG_POSE):
            waited_s = (answer.played.stamp_ns - answers[0].played.stamp_ns) * 1e-9
            return Recovery(count, waited_s + (answer.latency_ms or 0.0) * 1e-3)
    return None
