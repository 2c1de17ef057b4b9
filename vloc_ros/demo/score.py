"""How good the answers to a drive were: figures, a table for people, and a verdict against explicit limits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from vloc_ros.geometry.pose_error import NOT_WRONG_POSE, RIGHT_POSE, PoseError, pose_error
from vloc_ros.geometry.transforms import Matrix, invert
from vloc_ros.tracking.status import FLOW, PRIOR


@dataclass(frozen=True, eq=False)
class Played:
    """An image that was published, or those of a moment, and where the base truly was and odometry believed it was,
    where that is known; `covered`: the camera that somebody's hand was on; `place`: which of several it shows."""

    stamp_ns: int
    map_from_base: Matrix | None = None
    odom_from_base: Matrix | None = None
    kidnapped: bool = False
    covered: str = ""
    place: str = ""


@dataclass(frozen=True, eq=False)
class Filtered:
    """A filtered pose (4, 4) of the base and its covariance (6, 6)."""

    map_from_base: Matrix
    covariance: Matrix


@dataclass(frozen=True, eq=False)
class Answer:
    """What became of an image: the pose that came and when, what TF said at its stamp before that, both None if nothing
    did; `localize_ms` is None for an image that the relocalizer dropped or refused before looking at it. `inliers`: of
    each of several cameras that an image was taken with. `place`: that the pose is in, where the map has several.
    `filtered`: of its stamp; `search`: as ImageReport has it, "" of an image that was not looked at."""

    played: Played
    reported: bool = False  # in ~/status
    pose: Matrix | None = None
    latency_ms: float | None = None
    localize_ms: float | None = None
    from_tf: Matrix | None = None
    inliers: Mapping[str, int] = field(default_factory=dict)
    place: str = ""
    filtered: Filtered | None = None
    search: str = ""


@dataclass(frozen=True)
class Limits:
    """What a good result is."""

    median_m: float
    median_deg: float
    recall: float
    first_fix_s: float = 15.0  # slow computers too
    recovery_frames: int = 10


SHIPPED_MAP = Limits(median_m=0.03, median_deg=1.0, recall=0.8)
SHIPPED_FLOORS = Limits(median_m=0.03, median_deg=1.0, recall=0.5)  # in the lift nothing is seen
ANY_MAP = Limits(median_m=0.1, median_deg=5.0, recall=0.5)


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
    expected them; `cpu_percent`: processor time of the relocalizer, of one core's. `recoveries`: one per time the robot
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
        followed=sum(answer.search == FLOW for answer in answers),
        cpu_percent=cpu_percent,
        recoveries=tuple(_recovery(answers[k:], errors[k:]) for k, a in enumerate(answers) if a.played.kidnapped),
        covered=_covered(answers, errors),
        inliers=_median_inliers(answers),
        places=_places(answers),
    )


def faults(result: Score, limits: Limits) -> list[str]:
    """What is worse than it should be; without ground truth only whether and when there was a fix."""
    if result.first_fix_s is None or not result.fixes:
        return ["no image was localized"]
    checks = [(f"the first fix took {result.first_fix_s:.1f} s", result.first_fix_s > limits.first_fix_s)]
    if result.has_truth:
        why = f" ({result.dropped} were dropped: is the computer busy?)" if result.dropped else ""
        checks.append((f"only {result.recall:.0%} of the images gave a right pose{why}", result.recall < limits.recall))
    if result.map_to_base:
        metres, degrees = result.map_to_base.metres.p50, result.map_to_base.degrees.p50
        checks.append((f"map -> base_link is {metres * 100:.1f} cm off", metres > limits.median_m))
        checks.append((f"map -> base_link is {degrees:.1f} deg off", degrees > limits.median_deg))
    elif result.has_truth:
        checks.append(("TF never knew map -> base_link", True))
    if result.places:
        checks.append((f"{result.places.wrong} poses in the wrong place were published", result.places.wrong > 0))
    for recovery in result.recoveries:
        images = recovery.frames if recovery else result.images
        checks.append((f"carried away, it was lost for {images} images", images > limits.recovery_frames))
    return [what for what, is_bad in checks if is_bad]


def table(result: Score) -> str:
    """The figures for people: centimetres, degrees, percent, milliseconds."""
    rows = [
        ("images", f"{result.images}"),
        ("fixes", f"{result.fixes}"),
        ("dropped images", f"{result.dropped}"),
        ("relocalizer start to first fix", _or_none(result.first_fix_s, "{:.1f} s")),
        ("latency, image stamp to pose", _milliseconds(result.latency_ms)),
        ("of that added by ROS", _milliseconds(result.added_ms)),
        ("begun near the track", f"{result.priors} images"),
        ("followed without a network", f"{result.followed} images, the others begun in the whole map"),
        ("processor time of the relocalizer", _or_none(result.cpu_percent, "{:.0f} % of a core")),
    ]
    if result.has_truth:
        rows += [
            ("error of the pose", _accuracy_text(result.pose)),
            ("error of the filtered pose", _accuracy_text(result.filtered)),
            ("error of map -> base_link (TF)", _accuracy_text(result.map_to_base)),
            ("odometry alone, at the end", _error_text(result.odometry_alone)),
            (f"within {RIGHT_POSE}", f"{result.recall:.1%}"),
        ]
    if result.inliers:
        medians = ", ".join(f"{name} {count:.0f}" for name, count in result.inliers.items())
        rows.append(("inliers by camera, median", medians))
    if result.covered:
        rows.append((f"{result.covered.camera} covered", _covered_text(result.covered)))
    if places := result.places:
        rows.append(
            ("wrong place published", f"{places.wrong} of {places.poses} poses, {places.changes} changes of place")
        )
    for recovery in result.recoveries:
        text = f"after {recovery.frames} images, {recovery.seconds:.2f} s" if recovery else "never"
        rows.append(("carried away, found itself", text))
    return "\n".join(f"{name:<35}{value}" for name, value in rows)


def notes(result: Score) -> list[str]:
    """The figures in a few short lines."""
    lines = [f"{result.fixes} fixes of {result.images} images"]
    if result.latency_ms:
        lines.append(f"latency {result.latency_ms.p50:.0f} ms")
    lines.append(f"{result.priors} begun near the track, {result.followed} followed")
    if result.cpu_percent is not None:
        lines.append(f"processor: {result.cpu_percent:.0f} % of a core")
    if result.map_to_base:
        metres, degrees = result.map_to_base.metres.p50, result.map_to_base.degrees.p50
        lines += ["map -> base_link, median:", f"  {metres * 100:.1f} cm, {degrees:.2f} deg"]
    if result.covered:
        lines += [f"{result.covered.camera} covered:", f"  {result.covered.recall:.0%} right poses"]
    if places := result.places:
        lines.append(f"wrong place published: {places.wrong} of {places.poses}")
    if result.odometry_alone:
        lines += ["odometry alone, at the end:", f"  {_error_text(result.odometry_alone)}"]
    return lines


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


def _covered_text(covered: CoveredScore) -> str:
    dropped = f", {covered.dropped} dropped" if covered.dropped else ""
    return f"{covered.recall:.1%} of {covered.images} images within {RIGHT_POSE}{dropped}"


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


def odometry_in_map(played: Sequence[Played]) -> list[Matrix]:
    """Where the robot would believe it was if it knew where it started, and from then on had only its odometry."""
    known = _with_odometry(played)
    return [truth @ invert(odom) @ later for truth, odom in known[:1] for _, later in known]


def _with_odometry(played: Sequence[Played]) -> list[tuple[Matrix, Matrix]]:
    return [
        (p.map_from_base, p.odom_from_base)
        for p in played
        if p.map_from_base is not None and p.odom_from_base is not None
    ]


def _odometry_alone(played: Sequence[Played]) -> PoseError | None:
    known = _with_odometry(played)
    return pose_error(odometry_in_map(played)[-1], known[-1][0]) if known else None


def _recovery(answers: Sequence[Answer], errors: Sequence[PoseError | None]) -> Recovery | None:
    """Of a robot that was carried just before the first of these images."""
    for count, (answer, error) in enumerate(zip(answers, errors, strict=True), start=1):
        if error is not None and error.within(NOT_WRONG_POSE):
            waited_s = (answer.played.stamp_ns - answers[0].played.stamp_ns) * 1e-9
            return Recovery(count, waited_s + (answer.latency_ms or 0.0) * 1e-3)
    return None


def _or_none(value: float | None, form: str) -> str:
    return "none" if value is None else form.format(value)


def _milliseconds(values: Percentiles | None) -> str:
    return "none" if values is None else f"{values.p50:.0f} ms median, {values.p95:.0f} ms p95"


def _accuracy_text(values: Accuracy | None) -> str:
    if values is None:
        return "none"
    median = f"{values.metres.p50 * 100:.2f} cm, {values.degrees.p50:.2f} deg median"
    return f"{median}; {values.metres.p95 * 100:.2f} cm, {values.degrees.p95:.2f} deg p95"


def _error_text(error: PoseError | None) -> str:
    return (
        "none" if error is None else f"{error.translation_m * 100:.0f} cm, {math.degrees(error.rotation_rad):.0f} deg"
    )
