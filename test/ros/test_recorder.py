"""The recorder writes what a live relocalizer says, and a kill loses none of it."""

import json
from pathlib import Path

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from support.robot import Robot, matrix_of

from vloc_ros.evaluation.recorded import FILTERED_COVARIANCE_FILE, STATUS_FILE, evaluate_recording, read_recording
from vloc_ros.evaluation.records import Estimated
from vloc_ros.geometry.pose_error import PoseTolerance
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.ros.conversions import to_stamp_ns
from vloc_ros.tracking.state import State

NO_VIEWS = np.empty((0, 4, 4))


def test_a_run_is_written_as_it_was_and_survives_a_kill(robot: Robot, tmp_path: Path) -> None:
    out = tmp_path / "run"
    recorder = robot.graph.start("recorder", out=out)
    robot.graph.wait_for(lambda: recorder.lines("recording into"), "the recorder")
    filtered = robot.graph.listen(PoseWithCovarianceStamped, f"{robot.relocalizer}/filtered_pose")
    fix = robot.localize_until(lambda: (out / "camera_pose.txt").read_text().count("\n") > 1)
    robot.configure(min_inliers=100000)
    rejected = robot.localize()
    robot.graph.wait_for(lambda: rejected["stamp"] in (out / STATUS_FILE).read_text(), "the rejection in the file")
    robot.graph.wait_for(lambda: filtered, "a filtered pose")
    last = filtered[-1].header.stamp
    robot.graph.wait_for(lambda: f"{last.sec}.{last.nanosec:09d}" in (out / FILTERED_COVARIANCE_FILE).read_text())
    recorder.kill()

    recording = read_recording(out)
    np.testing.assert_allclose(recording.poses[fix.stamp_ns], matrix_of(robot.pose_of(fix).pose.pose), atol=1e-8)
    camera = matrix_of(robot.camera_pose_of(fix).pose)
    np.testing.assert_allclose(recording.camera_poses[fix.stamp_ns], camera, atol=1e-8)
    covariance = np.reshape(robot.pose_of(fix).pose.covariance, (6, 6))
    np.testing.assert_array_equal(recording.covariances[fix.stamp_ns], covariance)
    told = {to_stamp_ns(message.header.stamp): message.pose for message in filtered}
    stamp_ns = to_stamp_ns(last)
    np.testing.assert_allclose(recording.filtered[stamp_ns], matrix_of(told[stamp_ns].pose), atol=1e-8)
    assert recording.filtered_covariances[stamp_ns].shape == (6, 6)
    image = recording.statuses[rejected.stamp_ns].image
    assert image is not None
    assert str(image.refusal) == rejected["rejection"]

    def truth(stamps_ns: np.ndarray, offset_s: float | None = None) -> tuple[Matrix, np.ndarray]:
        known = np.isin(stamps_ns, [fix.stamp_ns, rejected.stamp_ns])
        return np.tile(robot.frames[0].map_from_camera, (len(stamps_ns), 1, 1)), known

    records = evaluate_recording(recording, truth, NO_VIEWS).records
    assert [isinstance(record.outcome, Estimated) for record in records] == [True, False]
    assert records[0].error is not None
    assert records[0].error.within(PoseTolerance(0.05, 2))
    assert records[0].state is State.LOCALIZED
    assert records[1].outcome.reason == "too_few_inliers"  # type: ignore[union-attr]


def test_nothing_is_overwritten(robot: Robot, tmp_path: Path) -> None:
    (tmp_path / STATUS_FILE).write_text(json.dumps({"from": "before"}))
    recorder = robot.graph.start("recorder", out=tmp_path)
    robot.graph.wait_for(lambda: recorder.lines(STATUS_FILE, "File exists"), "the error")
    recorder.stop()
    assert (tmp_path / STATUS_FILE).read_text() == '{"from": "before"}'
