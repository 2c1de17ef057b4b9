"""What a live relocalizer said, as `vloc record` writes it, evaluated afterwards."""

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from vloc_ros.core.nearest_view import nearest_view
from vloc_ros.core.types import RejectionReason, worst_sigma
from vloc_ros.errors import DatasetError, reason_of
from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.evaluation.records import Estimated, FrameRecord, Rejected, Tracked
from vloc_ros.geometry.pose_error import WRONG_PLACE, pose_error
from vloc_ros.geometry.stamps import NS_PER_S, format_stamp, parse_stamp
from vloc_ros.geometry.trajectory import from_tum_line
from vloc_ros.geometry.transforms import Matrix, invert, moved_covariance, pose_vector, turned_covariance
from vloc_ros.tracking.status import GLOBAL, ImageReport, Status

if TYPE_CHECKING:
    from vloc_ros.evaluation.alignment import GroundTruthAt  # needs scipy, which the recording robot may lack

POSE_FILE, CAMERA_POSE_FILE = "pose.txt", "camera_pose.txt"  # TUM
COVARIANCE_FILE = "pose_covariance.txt"  # stamp in seconds, then the 36 numbers row by row
FILTERED_FILE, FILTERED_COVARIANCE_FILE = "filtered_pose.txt", "filtered_pose_covariance.txt"  # of the same forms
STATUS_FILE = "status.jsonl"  # the values of a status a line

FILTERED_GAP_NS = NS_PER_S // 2  # the filtered pose is not interpolated over more

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Recording:
    """By the stamp of the image: base poses and their covariances (6, 6), camera poses, and the first of its statuses:
    without a new image, a relocalizer repeats the last one with what has become of its state. By the stamp of the
    odometry: filtered poses of the base and their covariances, the last of each; older recorders did not write them."""

    where: Path
    poses: Mapping[int, Matrix]
    covariances: Mapping[int, Matrix]
    camera_poses: Mapping[int, Matrix]
    statuses: Mapping[int, Status]
    filtered: Mapping[int, Matrix] = field(default_factory=dict)
    filtered_covariances: Mapping[int, Matrix] = field(default_factory=dict)

    def part(self, is_there: Callable[[int], bool]) -> "Recording":
        """Only the images of some stamps."""
        return replace(self, statuses={stamp: each for stamp, each in self.statuses.items() if is_there(stamp)})

    def moved(self, other_from_map: Matrix) -> "Recording":
        """The same with poses in another frame."""
        return replace(
            self,
            poses={stamp: other_from_map @ pose for stamp, pose in self.poses.items()},
            covariances={stamp: turned_covariance(each, other_from_map) for stamp, each in self.covariances.items()},
            camera_poses={stamp: other_from_map @ pose for stamp, pose in self.camera_poses.items()},
            filtered={stamp: other_from_map @ pose for stamp, pose in self.filtered.items()},
            filtered_covariances={
                stamp: turned_covariance(each, other_from_map) for stamp, each in self.filtered_covariances.items()
            },
        )


def read_recording(directory: Path) -> Recording:
    """Read what `vloc record` wrote; a last line that was not finished does not count. Raises DatasetError."""
    if not (directory / STATUS_FILE).exists():
        raise DatasetError(f"{directory}: no recording that `vloc record` wrote, there is no {STATUS_FILE}")
    return Recording(
        directory,
        dict(_read(directory / POSE_FILE, _pose)),
        dict(_read(directory / COVARIANCE_FILE, _covariance)),
        dict(_read(directory / CAMERA_POSE_FILE, _pose)),
        {
            stamp_ns: next(told)
            for stamp_ns, told in groupby(_read(directory / STATUS_FILE, _status), key=_stamp_of)
            if stamp_ns
        },
        dict(_read_if_there(directory / FILTERED_FILE, _pose)),
        dict(_read_if_there(directory / FILTERED_COVARIANCE_FILE, _covariance)),
    )


def evaluate_recording(
    recording: Recording, truth_at: "GroundTruthAt", mapping_views: Matrix, place: str | None = None
) -> Evaluation:
    """Every image that has a status and ground truth; `latency_ms` of an image is what `localize()` took. `place`: that
    of the truth and the views, where the map is of several.

    Raises DatasetError where there is none. `source` says how many images were left out.
    """
    stamps = sorted(recording.statuses)
    poses, known = truth_at(np.array(stamps, dtype=np.int64))
    with_truth = [(stamp, pose) for stamp, pose, is_known in zip(stamps, poses, known, strict=True) if is_known]
    records, filtered_at = [], _filtered_at(recording, stamps)
    for stamp_ns, truth in with_truth:
        outcome = _outcome(recording, stamp_ns, truth, place)
        if outcome is not None:
            record = _record(recording.statuses[stamp_ns], truth, outcome, mapping_views)
            records.append(replace(record, true_place=place, tracked=filtered_at.get(stamp_ns)))
    if not records:
        why = f"none of {len(stamps)} images has ground truth" if stamps else "no image in it, no relocalizer was heard"
        raise DatasetError(f"{recording.where}: {why}")
    source = {
        "recorded": str(recording.where),
        "images": len(stamps),
        "skipped_without_truth": len(stamps) - len(with_truth),
        "skipped_without_pose": len(with_truth) - len(records),
    }
    return Evaluation(tuple(records), source)


def _filtered_at(recording: Recording, stamps: Sequence[int]) -> dict[int, Tracked]:
    """The filtered pose of the camera at the images' stamps, between two of the odometry's; where the camera is on the
    robot is as the last fix before has it."""
    told = sorted(recording.filtered.keys() & recording.filtered_covariances.keys())
    if not told:
        return {}
    from vloc_ros.geometry.interpolation import trajectory_of  # needs scipy, which the recording robot may lack

    trajectory = trajectory_of(told, [pose_vector(recording.filtered[stamp]) for stamp in told])
    assert trajectory is not None  # they are poses
    poses, known = trajectory.at(np.array(stamps, dtype=np.int64), FILTERED_GAP_NS)
    found, base_from_camera = {}, None
    for stamp_ns, map_from_base, is_known in zip(stamps, poses, known, strict=True):
        if stamp_ns in recording.poses and stamp_ns in recording.camera_poses:
            base_from_camera = invert(recording.poses[stamp_ns]) @ recording.camera_poses[stamp_ns]
        if is_known and base_from_camera is not None:
            map_from_camera = map_from_base @ base_from_camera
            nearest = told[min(bisect_left(told, stamp_ns), len(told) - 1)]
            lever = map_from_camera[:3, 3] - map_from_base[:3, 3]
            covariance = moved_covariance(recording.filtered_covariances[nearest], lever)
            image = recording.statuses[stamp_ns].image
            search, cpu_ms = (image.search, image.cpu_ms) if image else (GLOBAL, None)
            found[stamp_ns] = Tracked(map_from_camera, covariance, search, _jump(image), cpu_ms)
    return found


def _jump(image: ImageReport | None) -> str:
    """Why a pose was not believed; "" where it was, or there was none."""
    refusal = image.refusal if image else None
    return refusal.detail if refusal and refusal.reason is RejectionReason.JUMP else ""


def _record(status: Status, truth: Matrix, outcome: Estimated | Rejected, mapping_views: Matrix) -> FrameRecord:
    image = status.image
    assert image is not None  # `_stamp_of` a status without one is 0
    return FrameRecord(
        name=format_stamp(image.stamp_ns),
        stamp_ns=image.stamp_ns,
        true_map_from_camera=truth,
        outcome=outcome,
        timings_ms={} if image.localize_ms is None else {"total": image.localize_ms},
        nearest_view=nearest_view(mapping_views, truth),
        state=status.state,
        place=image.place,
        cameras={name: each.inliers for name, each in image.cameras.items() if each.inliers is not None},
    )


def _outcome(recording: Recording, stamp_ns: int, truth: Matrix, place: str | None) -> Estimated | Rejected | None:
    """None for a pose that was announced but not recorded."""
    image = recording.statuses[stamp_ns].image
    assert image is not None
    if image.refusal:
        return Rejected(image.refusal.reason.value, image.refusal.detail)
    recorded = (recording.poses, recording.covariances, recording.camera_poses)
    if image.figures is None or any(stamp_ns not in found for found in recorded):
        return None
    camera = recording.camera_poses[stamp_ns]
    lever = camera[:3, 3] - recording.poses[stamp_ns][:3, 3]
    covariance = moved_covariance(recording.covariances[stamp_ns], lever)
    return Estimated(
        map_from_camera=camera,
        covariance=covariance,
        confidence=image.figures.confidence,
        error=pose_error(camera, truth) if image.place == place else WRONG_PLACE,
        inliers=image.figures.inliers,
        inlier_ratio=image.figures.inlier_ratio,
        reprojection_rmse_px=image.figures.reprojection_rmse_px,
        position_sigma_m=worst_sigma(covariance[:3, :3]),
        rotation_sigma_deg=float(np.rad2deg(worst_sigma(covariance[3:, 3:]))),
    )


def _read_if_there(path: Path, parse: Callable[[str], T]) -> list[T]:
    return _read(path, parse) if path.exists() else []


def _read(path: Path, parse: Callable[[str], T]) -> list[T]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {reason_of(error)}") from error
    parsed = []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        if not line.startswith("#"):
            try:
                parsed.append(parse(line))
            except (ValueError, ArithmeticError, TypeError, AttributeError) as error:
                raise DatasetError(f"{path}:{number}: {error}") from error
    return parsed


def _pose(line: str) -> tuple[int, Matrix]:
    pose = from_tum_line(line)
    return pose.stamp_ns, pose.map_from_camera


def _covariance(line: str) -> tuple[int, Matrix]:
    stamp, *values = line.split()
    return parse_stamp(stamp), np.array([float(value) for value in values]).reshape(6, 6)


def _status(line: str) -> Status:
    return Status.from_values({str(key): str(value) for key, value in json.loads(line).items()})


def _stamp_of(status: Status) -> int:
    return status.image.stamp_ns if status.image else 0
