"""Evaluation: metrics by hand-made poses, trajectories, occlusion, reports."""

import errno
import json
import math
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.model_spec import GridSpec
from vloc_ros.core.query import Query
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate, Rejection, RejectionReason
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.evaluation.corruptions import Corrupted, noise_block
from vloc_ros.evaluation.evaluate import Evaluation, evaluate
from vloc_ros.evaluation.metrics import RIGHT_RECALL, summarize
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.pose_error import WRONG_PLACE, PoseError, PoseTolerance, pose_error
from vloc_ros.geometry.trajectory import StampedPose, read_tum, write_tum
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.localizer import Localizer
from vloc_ros.methods.vsnet.method import VSNetMethod

ISSUE_KEYS = {
    "frames",
    "median_translation_m",
    "median_rotation_deg",
    "recall_2cm_1deg",
    "recall_5cm_5deg",
    "recall_10cm_5deg",
    "recall_25cm_2deg",
    "rejected",
    "latency_ms",
}


def error(centimetres: float, degrees: float) -> PoseError:
    return PoseError(centimetres / 100, math.radians(degrees))


def random_pose(rng: np.random.Generator) -> np.ndarray:
    return from_quaternion(rng.normal(size=4), rng.normal(size=3) * 10)


def turned(pose: np.ndarray, degrees: float, metres: float) -> np.ndarray:
    """The pose turned about its own z axis and moved along its own x axis."""
    half = math.radians(degrees) / 2
    return pose @ from_quaternion([0, 0, math.sin(half), math.cos(half)], [metres, 0, 0])


@pytest.mark.parametrize(("degrees", "metres"), [(0, 0), (1e-4, 0.02), (90, 3), (179.9, 1)])
def test_pose_error_measures_what_was_done_to_the_pose(degrees: float, metres: float) -> None:
    pose = random_pose(np.random.default_rng(1))
    for found in (pose_error(turned(pose, degrees, metres), pose), pose_error(pose, turned(pose, degrees, metres))):
        assert found.translation_m == pytest.approx(metres, abs=1e-12)
        assert math.degrees(found.rotation_rad) == pytest.approx(degrees, abs=1e-6)


def test_recall_needs_both_limits_and_includes_them() -> None:
    summary = summarize([PoseError(0.02, math.radians(1)), error(1, 1.1), error(5.1, 0.1), error(24, 5)], [{}] * 4)
    assert set(summary) >= ISSUE_KEYS
    assert summary["recall_2cm_1deg"] == 1 / 4
    assert summary["recall_5cm_5deg"] == 2 / 4
    assert summary["recall_10cm_5deg"] == 3 / 4
    assert summary["recall_25cm_2deg"] == 3 / 4
    assert summary["wrong_accepted"] == 0


def test_a_rejection_counts_as_infinitely_wrong_but_not_as_accepted() -> None:
    summary = summarize([error(1, 1), error(3, 2), None], [{}] * 3)
    assert summary["median_translation_m"] == pytest.approx(0.03)
    assert summary["median_rotation_deg"] == pytest.approx(2)
    assert summary["recall_5cm_5deg"] == pytest.approx(2 / 3)
    assert (summary["rejected"], summary["wrong_accepted"]) == (1, 0)


@pytest.mark.parametrize("errors", [[None], [error(1, 1), None], [error(1, 1), None, None], []])
def test_an_infinite_median_is_null(errors: list[PoseError | None]) -> None:
    summary = summarize(errors, [{}] * len(errors))
    assert summary["median_translation_m"] is None
    assert summary["median_rotation_deg"] is None
    json.dumps(summary, allow_nan=False)


def test_wrong_accepted_poses_are_counted() -> None:
    summary = summarize([error(26, 0), error(0, 6), error(25, 5), None], [{}] * 4)
    assert summary["wrong_accepted"] == 2


def test_latency_percentiles_per_stage_over_the_frames_that_came_to_it() -> None:
    timings = [{"network": float(i), "total": 2.0 * i} for i in range(101)] + [{"total": 0.0}]
    latency = summarize([None] * len(timings), timings)["latency_ms"]
    assert latency["network"] == {"p50": 50, "p95": 95, "p99": 99}
    assert latency["total"]["p50"] == pytest.approx(99)


def test_tum_round_trip_to_the_nanosecond(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    stamps = [0, 1, 1_763_700_000_123_456_789]
    written = [StampedPose(stamp, random_pose(rng)) for stamp in stamps]
    write_tum(tmp_path / "new" / "t.tum", written)
    read = read_tum(tmp_path / "new" / "t.tum")
    assert [pose.stamp_ns for pose in read] == stamps
    for a, b in zip(written, read, strict=True):
        np.testing.assert_allclose(a.map_from_camera, b.map_from_camera, atol=1e-8)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["t.tum"]


@pytest.mark.parametrize(
    "line", ["1 2 3", "1 0 0 0 0 0 0 0", "x 0 0 0 0 0 0 1", "1 0 0 nan 0 0 0 1", "inf 0 0 0 0 0 0 1"]
)
def test_bad_tum_lines_are_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "t.tum").write_text(f"# comment\n\n{line}\n")
    with pytest.raises(DatasetError, match=r"t\.tum, line 3: "):
        read_tum(tmp_path / "t.tum")
    with pytest.raises(DatasetError, match="none: No such file"):
        read_tum(tmp_path / "none")


def test_columns_of_a_tum_file_in_another_order_are_noticed(tmp_path: Path) -> None:
    """The quaternion before the position: the last four numbers are no rotation."""
    (tmp_path / "t.tum").write_text("1.0 0.1 0.2 0.3 0.927 0.8 1.2 0.4\n")
    with pytest.raises(DatasetError, match=r"line 1: the quaternion has length 1\.76 instead of 1: are the columns "):
        read_tum(tmp_path / "t.tum")


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.4, 0.7, 1.0])
def test_noise_block_has_its_size_and_leaves_the_rest(ratio: float) -> None:
    image = np.full((120, 160, 3), 300 % 256, dtype=np.uint8)
    image.setflags(write=False)
    corners = set()
    for seed in range(20):
        changed = (noise_block(image, np.random.default_rng(seed), ratio) != image).any(axis=2)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        assert (len(rows), len(columns)) == (round(ratio * 120), round(ratio * 160))
        assert changed.sum() == pytest.approx(len(rows) * len(columns), rel=0.001)
        corners.add((rows[:1].tobytes(), columns[:1].tobytes()))
    assert len(corners) > 10 or ratio in (0.0, 1.0)
    with pytest.raises(ConfigError, match="occlusion"):
        noise_block(image, np.random.default_rng(0), 1.5)


CAMERA = Camera(16, 12, 20.0, 20.0, 7.5, 5.5)


class Poses:
    """A data set of grey images whose brightness is their index."""

    has_depth = False
    names = ("a", "b", "c", "d")
    poses = tuple(random_pose(np.random.default_rng(i)) for i in range(4))

    def __len__(self) -> int:
        return len(self.names)

    def camera(self, index: int) -> Camera:
        return CAMERA

    def map_from_camera(self, index: int) -> np.ndarray:
        return self.poses[index]

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        return Frame(
            self.names[index], CameraImage(np.full((12, 16, 3), index, np.uint8), CAMERA), self.map_from_camera(index)
        )


def fake_localize(query: Query, *_: object) -> PoseEstimate | Rejection:
    """Image 2 is rejected, the others are 1 cm and 0.1 deg off per index."""
    index = int(query.views[0].image.rgb[0, 0, 0])
    if index == 2:
        return Rejection(RejectionReason.NO_POSE, "no pose", timings_ms={"total": 1.0})
    points = Correspondences(np.zeros((4, 2)), np.zeros((4, 3)), np.ones(4), np.arange(4, dtype=np.int32))
    covariance = np.diag([1e-4, 4e-4, 1e-4, 1e-6, 1e-6, math.radians(3) ** 2])
    pose = turned(Poses.poses[index], 0.1 * index, 0.01 * index)
    return PoseEstimate(
        pose, covariance, points, np.array([True, True, True, False]), 0.5, 0.9, {"pnp": 1.0, "total": 2.0}
    )


@pytest.fixture
def localizer(monkeypatch: pytest.MonkeyPatch) -> Localizer:
    monkeypatch.setattr("vloc_ros.map_localizer.localize", fake_localize)
    ids = np.zeros(1, np.int32)
    spec = GridSpec(16, 12, 4, VSNetMethod.outputs)
    manifest = Manifest("vsnet", "map", "now", spec.image_size, spec.models)
    landmark_map = LandmarkMap(ids, np.zeros((1, 3)), np.eye(3)[2:], np.zeros(1), ids, manifest)
    session = SimpleNamespace(spec=spec.model, max_batch=1)
    return Localizer(landmark_map, SimpleNamespace(preload=lambda: None), {"network": session})


def test_evaluate_report_and_trajectories(localizer: Localizer, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    result = evaluate(localizer, Poses(), progress=lambda *done: seen.append(done))  # type: ignore[arg-type]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    result.write_json(tmp_path / "out.json")
    report = json.loads((tmp_path / "out.json").read_text())
    assert set(report) >= ISSUE_KEYS
    assert (report["frames"], report["rejected"], report["failed"]) == (4, 1, 1)
    assert report["median_translation_m"] == pytest.approx(0.02)  # of 0, 1, 3 cm and infinity
    assert report["rejection_reasons"] == {"no_pose": 1}
    assert report["latency_ms"]["total"]["p50"] == 2.0
    assert report["per_frame"][2]["rejected"] == "no_pose"
    assert report["per_frame"][3]["rotation_error_deg"] == pytest.approx(0.3)
    assert report["per_frame"][3]["position_sigma_m"] == pytest.approx(0.02)
    assert report["per_frame"][3]["rotation_sigma_deg"] == pytest.approx(3)
    assert report["per_frame"][3]["inlier_ratio"] == 0.75

    result.write_trajectories(tmp_path / "estimate.tum", tmp_path / "truth.tum")
    truth, estimate = read_tum(tmp_path / "truth.tum"), read_tum(tmp_path / "estimate.tum")
    assert [pose.stamp_ns for pose in truth] == [0, 10**9, 2 * 10**9, 3 * 10**9]
    assert [pose.stamp_ns for pose in estimate] == [0, 10**9, 3 * 10**9]
    np.testing.assert_allclose(truth[2].map_from_camera, Poses.poses[2], atol=1e-8)


def test_real_stamps_are_kept(localizer: Localizer, tmp_path: Path) -> None:
    records = evaluate(localizer, Poses()).records  # type: ignore[arg-type]
    stamped = Evaluation(tuple(replace(record, stamp_ns=100 + i) for i, record in enumerate(records)))
    stamped.write_trajectories(tmp_path / "estimate.tum", tmp_path / "truth.tum")
    assert [pose.stamp_ns for pose in read_tum(tmp_path / "truth.tum")] == [100, 101, 102, 103]


def test_occlusion_is_repeatable_and_the_frame_of_an_error_is_named(
    localizer: Localizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    images: list[np.ndarray] = []

    def record(query: Query, *_: object) -> Rejection:
        images.append(query.views[0].image.rgb)
        return Rejection(RejectionReason.NO_POSE, "x", timings_ms={"total": 1.0})

    monkeypatch.setattr("vloc_ros.map_localizer.localize", record)
    monkeypatch.setattr(Localizer, "warm_up", lambda _: None)
    for _ in range(2):
        evaluate(localizer, Corrupted(Poses(), partial(noise_block, ratio=0.5)))  # type: ignore[arg-type]
    half = len(images) // 2
    np.testing.assert_array_equal(images[:half], images[half:])
    assert all(image.std() > 0 for image in images)

    def refuse(image: CameraImage, *_: object) -> Rejection:
        raise ConfigError("image: too blue")

    monkeypatch.setattr("vloc_ros.map_localizer.localize", refuse)
    with pytest.raises(ConfigError, match=r"^a: image: too blue$"):
        evaluate(localizer, Poses())  # type: ignore[arg-type]


def test_a_full_disk_leaves_the_old_report(
    localizer: Localizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "out.json").write_text("old")
    result = evaluate(localizer, Poses())  # type: ignore[arg-type]
    monkeypatch.setattr("vloc_ros.files.os.fsync", full)
    with pytest.raises(ConfigError, match=r"out\.json: cannot be written: No space left"):
        result.write_json(tmp_path / "out.json")
    assert (tmp_path / "out.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_a_tolerance_holds_for_distance_and_angle_and_says_what_it_is() -> None:
    tolerance = PoseTolerance(0.05, 5.0)
    assert str(tolerance) == "5 cm and 5 deg"
    assert RIGHT_RECALL == f"recall_{tolerance.name}" == "recall_5cm_5deg"
    for metres, degrees, inside in ((0.05, 4.99, True), (0.0501, 0.0, False), (0.0, 5.01, False), (0.0, 0.0, True)):
        assert PoseError(metres, math.radians(degrees)).within(tolerance) is inside
    assert not WRONG_PLACE.within(PoseTolerance(1e9, 360))
    assert str(PoseTolerance(0.25, 2.5)) == "25 cm and 2.5 deg"
