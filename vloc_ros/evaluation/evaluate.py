"""Localizes posed frames, of a data set or from anywhere else, and compares with the known poses."""

import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from vloc_ros.core.manifest import Manifest
from vloc_ros.core.nearest_view import nearest_view
from vloc_ros.core.prefetch import prefetch
from vloc_ros.core.query import Query, inliers_by_view
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.cores import core_count
from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.errors import ConfigError, VlocError, reason_of
from vloc_ros.evaluation.camera_summary import camera_summary
from vloc_ros.evaluation.json_parsing import parse_json
from vloc_ros.evaluation.metrics import PLACE_ACCURACY, summarize
from vloc_ros.evaluation.records import Estimated, FrameRecord, Rejected, Tracked, outcome_of
from vloc_ros.evaluation.track_summary import track_summary
from vloc_ros.evaluation.uncertainty import DIMENSIONS, coverage, nees
from vloc_ros.files import write_text
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.trajectory import StampedPose, write_tum
from vloc_ros.localizer import Localizer
from vloc_ros.progress import Advance, no_advance

LoadFrames = Callable[[Collection[str]], Iterable[Frame]]  # frames of these names, in any order
CORES = core_count()
NO_POSE_REASONS = (RejectionReason.TOO_FEW_LANDMARKS.value, RejectionReason.NO_POSE.value)


class Tracks(Protocol):
    """Follows frames one after the other."""

    def query_of(self, frame: Frame) -> Query:
        """What is asked of the next frame."""
        ...

    def follow(self, frame: Frame, result: PoseEstimate | Rejection) -> Tracked | None:
        """What it makes of the answer; None while there is no track."""
        ...


@dataclass(frozen=True)
class Evaluation:
    """All frames of an evaluation, in their order. `source`: in JSON's types, where they came from and what was done to
    their ground truth, where there is something to say."""

    records: tuple[FrameRecord, ...]
    source: Mapping[str, Any] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """The figures of `metrics.summarize`, how often each reason of rejection was given, and `failed`: how many of
        the rejected frames had no pose that the gate could have judged. Of the accepted poses, None without any:
        `nees`, the average over its 6 dimensions, and `coverage_95`, the share of errors in the 95 % ellipsoid. Of
        a map of several places, `scene_accuracy`: the share of all frames whose likeliest place is the true one. Of a
        drive with odometry, `track`: `track_summary`; of several cameras, `cameras`: `camera_summary`."""
        reasons = [record.outcome.reason for record in self.records if isinstance(record.outcome, Rejected)]
        squares = nees(self.records)
        return {
            **summarize([record.error for record in self.records], [record.timings_ms for record in self.records]),
            "failed": sum(reason in NO_POSE_REASONS for reason in reasons),
            "nees": float(squares.mean()) / DIMENSIONS if len(squares) else None,
            "coverage_95": coverage(squares)[0.95] if len(squares) else None,
            "rejection_reasons": {reason: reasons.count(reason) for reason in sorted(set(reasons))},
            **self._place_accuracy(),
            **self._track(),
            **({"cameras": cameras} if (cameras := camera_summary(self.records)) else {}),
        }

    def _place_accuracy(self) -> dict[str, float]:
        if not any(record.true_place for record in self.records):
            return {}
        return {PLACE_ACCURACY: sum(record.place == record.true_place for record in self.records) / len(self.records)}

    def _track(self) -> dict[str, Any]:
        track = track_summary(self.records)
        return {} if track is None else {"track": track}

    def by_place(self) -> dict[str | None, "Evaluation"]:
        """The frames of each true place, in the order of their first ones; all of them under None for one place."""
        found: dict[str | None, list[FrameRecord]] = {}
        for record in self.records:
            found.setdefault(record.true_place, []).append(record)
        return {place: Evaluation(tuple(records), self.source) for place, records in found.items()}

    def write_json(self, path: Path) -> None:
        """Write `to_text`. Raises ConfigError when it cannot be written."""
        write_text(path, self.to_text())

    def to_text(self) -> str:
        """As JSON: summary, `source` and, as `per_frame`, every record."""
        source = {"source": dict(self.source)} if self.source else {}
        report = {**self.summary(), **source, "per_frame": [record.to_json() for record in self.records]}
        return json.dumps(report, indent=1, allow_nan=False) + "\n"

    @staticmethod
    def read_json(path: Path) -> "Evaluation":
        """What `write_json` wrote. Raises ConfigError for anything else."""
        try:
            report = parse_json(path.read_bytes())
            records = tuple(FrameRecord.from_json(node) for node in report["per_frame"])
            return Evaluation(records, report.get("source", {}))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {reason_of(error)}") from error
        except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
            raise ConfigError(f"{path}: not an evaluation as `vloc evaluate --json` writes it ({error})") from error

    def write_trajectories(self, estimate: Path, truth: Path) -> None:
        """Write the accepted and the true poses as TUM files. Frames without stamps count as one a second."""
        stamps = [record.stamp_ns for record in self.records]
        if len(set(stamps)) < len(stamps):
            stamps = [index * NS_PER_S for index in range(len(self.records))]
        stamped = list(zip(stamps, self.records, strict=True))
        write_tum(
            estimate,
            [StampedPose(t, r.outcome.map_from_camera) for t, r in stamped if isinstance(r.outcome, Estimated)],
        )
        write_tum(truth, [StampedPose(t, r.true_map_from_camera) for t, r in stamped])


def evaluate(localizer: Localizer, dataset: Dataset, progress: Advance = no_advance, workers: int = 1) -> Evaluation:
    """Localize every frame, as many at once as the localizer's sessions take. `progress(done, total)` is called after
    each; `workers` as in `evaluate_frames`. Errors of reading or localizing a frame are raised with its name in
    front."""

    def frame(index: int) -> Frame:
        with _named(dataset.names[index]):
            return dataset.frame(index)

    def frames() -> Iterator[Frame]:
        if (batch := localizer.max_batch) == 1:
            return map(frame, range(len(dataset)))
        return prefetch(iter(range(len(dataset))), frame, CORES, 2 * batch)

    def count(done: int) -> None:
        progress(done, len(dataset))

    return evaluate_frames(localizer, frames(), count, workers)


def evaluate_frames(
    localizer: Localizer,
    frames: Iterable[Frame],
    progress: Callable[[int], object] | None = None,
    workers: int = 1,
    tracker: Tracks | None = None,
) -> Evaluation:
    """The same of frames from anywhere; `progress(done)`. With a session that takes one image at once, each frame is
    taken when the one before is done, unless there are several `workers`: threads that localize a frame each, which
    makes it longer for a frame and shorter for all. A `tracker` follows the frames in their order."""
    records: list[FrameRecord] = []
    localizer.warm_up()  # so that times are true
    manifest = localizer.landmark_map.manifest
    for frame, result in _results(localizer, frames, workers, tracker):
        require_place(frame, manifest)
        record = _record(localizer, frame, result)
        records.append(replace(record, tracked=tracker.follow(frame, result)) if tracker else record)
        if progress:
            progress(len(records))
    return Evaluation(tuple(records))


def _results(
    localizer: Localizer, frames: Iterable[Frame], workers: int, tracker: Tracks | None
) -> Iterator[tuple[Frame, PoseEstimate | Rejection]]:
    def localized(frame: Frame) -> tuple[Frame, PoseEstimate | Rejection]:
        with _named(frame.name):
            return frame, localizer.localize(tracker.query_of(frame) if tracker else frame.query)

    if localizer.max_batch == 1:
        yield from map(localized, frames) if workers == 1 else prefetch(iter(frames), localized, workers, 2 * workers)
        return
    begun = deque[Frame]()  # and not done yet

    def queries() -> Iterator[Query]:
        for frame in frames:
            begun.append(frame)
            yield frame.query

    results = localizer.localize_all(queries())
    while True:
        try:
            result = next(results, None)
        except VlocError as error:
            raise (_with_name(begun[0].name, error) if begun else error) from error  # else the frame was not read
        if result is None:
            return
        yield begun.popleft(), result


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Puts the name of a frame in front of what is wrong with it."""
    try:
        yield
    except VlocError as error:
        raise _with_name(name, error) from error


def _with_name(name: str, error: VlocError) -> VlocError:
    return type(error)(f"{name}: {error}")


def _record(localizer: Localizer, frame: Frame, result: PoseEstimate | Rejection) -> FrameRecord:
    landmark_map = localizer.landmark_map
    true_place = frame.place if len(landmark_map.manifest.places) > 1 else None
    return FrameRecord(
        name=frame.name,
        stamp_ns=frame.image.stamp_ns,
        true_map_from_camera=frame.map_from_camera,
        outcome=outcome_of(result, frame.map_from_camera, true_place),
        timings_ms=result.timings_ms,
        nearest_view=nearest_view(landmark_map.views_of(true_place), frame.map_from_camera),
        place=result.place,
        true_place=true_place,
        cameras=_inliers_by_camera(frame, result),
    )


def _inliers_by_camera(frame: Frame, result: PoseEstimate | Rejection) -> dict[str, int]:
    counts = inliers_by_view(frame.query, result) if isinstance(result, PoseEstimate) else [0] * len(frame.cameras)
    return dict(zip(frame.cameras, counts, strict=False))  # a camera alone has no name


def require_place(frame: Frame, manifest: Manifest) -> None:
    """Raise ConfigError for truth in no frame of the map's: errors would mean nothing."""
    names = manifest.place_names
    if len(names) > 1 and not frame.place:
        raise ConfigError(
            f"{frame.name}: the frame does not say of which place it is, the map is of the places {', '.join(names)}"
        )
    if len(names) == 1 and frame.place and frame.place not in names:
        raise ConfigError(f"{frame.name}: the frame is of place '{frame.place}', the map is of one place, '{names[0]}'")
