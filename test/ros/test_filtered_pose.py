"""The filtered pose: published between fixes too, with its covariance; images begin where it puts them."""

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import PoseWithCovarianceStamped
from support.robot import BASE_FROM_CAMERA, Robot, matrix_of

from vloc_ros.geometry.transforms import Matrix, invert
from vloc_ros.ros.conversions import to_stamp_ns


def off_m(message: PoseWithCovarianceStamped, truth: Matrix) -> float:
    return float(np.linalg.norm(matrix_of(message.pose.pose)[:3, 3] - truth[:3, 3]))


def test_the_filtered_pose_is_that_of_the_newest_odometry(robot: Robot) -> None:
    """Of a robot that drives on without an image, too."""
    filtered = robot.graph.listen(PoseWithCovarianceStamped, f"{robot.relocalizer}/filtered_pose")
    answer = robot.localize_until(lambda: filtered)
    robot.graph.wait_for(lambda: to_stamp_ns(filtered[-1].header.stamp) >= answer.stamp_ns)
    here, there = (frame.map_from_camera @ invert(BASE_FROM_CAMERA) for frame in robot.frames[::2])
    before = filtered[-1]
    assert before.header.frame_id == robot.pose_of(answer).header.frame_id
    assert off_m(before, here) < 0.1
    stamp_ns = robot.now_ns()
    robot.send_odometry(robot.frames[2], stamp_ns)
    robot.graph.wait_for(lambda: to_stamp_ns(filtered[-1].header.stamp) == stamp_ns)
    after = filtered[-1]
    assert off_m(after, there) < off_m(before, here) + 0.1 * np.linalg.norm(there[:3, 3] - here[:3, 3])
    assert after.pose.covariance[0] > before.pose.covariance[0], "less certain after a way without an image"


def test_most_images_begin_near_the_track_and_some_do_not(robot: Robot) -> None:
    robot.configure(global_every=3)
    robot.localize()
    searched = [robot.localize()["search"] for _ in range(6)]
    assert searched.count("global") == 2
    assert searched.count("prior") == 4
    assert 0 < float(robot.status()["sigma_m"]) < 0.1
    robot.configure(global_every=1)
    assert {robot.localize()["search"] for _ in range(3)} == {"global"}


def test_without_a_track_images_are_searched_in_the_whole_map(robot: Robot) -> None:
    robot.configure(global_every=100, tf_mode="none")
    assert [robot.localize()["search"] for _ in range(2)] == ["global"] * 2
    assert robot.status()["sigma_m"] == ""
