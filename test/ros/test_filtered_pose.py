"""The filtered pose: published between fixes too, with its covariance; images begin where it puts them, or are followed
from one that did."""

import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import PoseWithCovarianceStamped
from support.robot import BASE_FROM_CAMERA, Robot, matrix_of

from vloc_ros.geometry.transforms import Matrix, invert
from vloc_ros.ros.conversions import to_stamp_ns


def off_m(message: PoseWithCovarianceStamped, truth: Matrix) -> float:
    return float(np.linalg.norm(matrix_of(message.pose.pose)[:3, 3] - truth[:3, 3]))


def answered_truth(robot: Robot) -> Matrix:
    """Of the frame that `localize` sends."""
    truth: Matrix = robot.frames[0].map_from_camera @ invert(BASE_FROM_CAMERA)
    return truth


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


def test_images_are_followed_and_some_then_searched_in_the_whole_map(robot: Robot) -> None:
    robot.configure(global_every=3)
    answers = [robot.localize() for _ in range(3)]
    assert "flow" not in [answer["search"] for answer in answers[:2]], "who was placed anew has to be seen twice"
    while [answer["search"] for answer in answers].count("checked") < 2:
        answers.append(robot.localize())
    searched = [answer["search"] for answer in answers]
    first = searched.index("checked")
    assert set(searched[first + 1 :][:2]) == {"flow"}, "the networks are not asked more often than every third time"
    assert set(searched[first:]) == {"checked", "flow"}
    while robot.localize()["check"] != "agrees":
        pass
    stamps = [to_stamp_ns(pose.header.stamp) for pose in robot.poses]
    assert len(stamps) == len(set(stamps)), "an image is published once, however often it is looked at"
    assert all(off_m(robot.pose_of(answer), answered_truth(robot)) < 0.1 for answer in answers)
    assert 0 < float(robot.status()["sigma_m"]) < 0.1
    robot.configure(global_every=1)
    assert {robot.localize()["search"] for _ in range(3)} == {"global"}


def test_what_the_keyframe_does_not_show_is_searched_by_the_networks(robot: Robot) -> None:
    """Somebody carries the robot elsewhere: nothing is followed until it has been found there."""
    robot.configure(global_every=100)
    while robot.localize()["search"] != "flow":
        pass

    def carried(stamp_ns: int) -> None:
        robot.send_odometry(robot.frames[0], stamp_ns)
        robot.send_image(robot.frames[2], stamp_ns)

    answers = [robot.ask(carried) for _ in range(3)]
    assert [answer["search"] for answer in answers] == ["prior", "global", "global"]
    assert [answer.is_fix for answer in answers] == [False, False, True]


def test_a_robot_that_stands_is_localized_rarely_and_one_that_moves_at_once(robot: Robot) -> None:
    rate_hz = 0.1
    robot.configure(rate="adaptive", standing_rate_hz=rate_hz, lost_after=1000.0)
    for _ in range(2):  # it stands if it has not moved since the last two fixes
        robot.localize()
    dropped, begun_s, stood = robot.status()["dropped"], time.monotonic(), list[int]()
    for _ in range(15):
        stood.append(robot.now_ns())
        robot.send(robot.frames[0], stood[-1])
        robot.graph.spin(0.05)
    moved = robot.localize(1)  # sent again until it is looked at
    elapsed_s = time.monotonic() - begun_s
    assert moved.is_fix
    looked_at = {answer_ns for answer_ns in stood if robot.answer_to([answer_ns])}
    assert len(looked_at) <= 2 + elapsed_s * rate_hz
    assert robot.status()["dropped"] == dropped, "they were not left out because the node was busy"


def test_without_odometry_images_are_followed_too(robot: Robot) -> None:
    robot.configure(global_every=100, tf_mode="map_to_base")
    answers = [robot.localize() for _ in range(3)]
    assert answers[0]["search"] == "global"
    assert {answer["search"] for answer in answers[1:]} <= {"prior", "flow", "global"}
    assert all(off_m(robot.pose_of(answer), answered_truth(robot)) < 0.1 for answer in answers)
    assert robot.status()["sigma_m"] == "", "there is no filter"
