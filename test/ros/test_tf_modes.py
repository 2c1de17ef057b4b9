"""The transforms that the relocalizer broadcasts, needs, and waits for."""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from support.graph import TRIES, Graph
from support.robot import (
    BASE_FRAME,
    BASE_FROM_CAMERA,
    MAP_FROM_ODOM,
    ODOM_FRAME,
    Robot,
    matrix_of,
    matrix_of_transform,
)
from tf2_msgs.msg import TFMessage

from vloc_ros.datasets import Frame
from vloc_ros.geometry.transforms import from_quaternion, invert, planar, rotation_angle
from vloc_ros.ros.conversions import to_stamp_ns, to_transform_stamped


@pytest.fixture
def heard(robot: Robot) -> Iterator[list[TransformStamped]]:
    """Transforms below the map."""
    with robot.graph.listening_to_tf("map") as transforms:
        yield transforms


def test_map_to_odom_is_the_drift_of_the_odometry(robot: Robot, heard: list[TransformStamped]) -> None:
    answer = robot.localize()
    robot.graph.wait_for(lambda: heard)
    assert {t.child_frame_id for t in heard} == {ODOM_FRAME}
    map_from_odom = matrix_of_transform(heard[-1])
    map_from_base = matrix_of(robot.pose_of(answer).pose.pose)
    map_from_true_base = robot.frames[0].map_from_camera @ invert(BASE_FROM_CAMERA)
    odom_from_base = invert(MAP_FROM_ODOM) @ map_from_true_base
    np.testing.assert_allclose(map_from_odom @ odom_from_base, map_from_base, atol=1e-9)
    turn = rotation_angle(map_from_odom[:3, :3], MAP_FROM_ODOM[:3, :3])
    assert math.degrees(turn) < 3


def test_map_to_odom_goes_on_between_fixes_dated_ahead(robot: Robot, heard: list[TransformStamped]) -> None:
    robot.configure(transform_tolerance=5.0)
    robot.localize()
    robot.graph.wait_for(lambda: heard)
    heard.clear()
    robot.graph.wait_for(lambda: len(heard) > 5)
    stamps = [to_stamp_ns(t.header.stamp) for t in heard]
    assert all(np.diff(stamps) > 0)
    assert stamps[-1] > robot.now_ns(), "not dated ahead"
    assert all(t.transform == heard[0].transform for t in heard)


def test_each_broadcast_is_dated_later_than_the_one_before(
    graph: Graph, frames: list[Frame], shipped_map: Path
) -> None:
    """Two threads broadcast: that of the timer, here a very busy one, and that of the images."""
    program = graph.start("relocalizer", map=shipped_map, threads=1, tf_publish_rate=1000.0, tf_timeout=5.0)
    robot = Robot(graph, frames)
    robot.mount_camera()
    robot.wait_for_relocalizer()
    with graph.listening_to_tf("map") as heard:
        for _ in range(30):
            answer = robot.localize()
            assert answer.is_fix, answer["rejection"]
        stamps = [to_stamp_ns(transform.header.stamp) for transform in heard]
    assert len(stamps) > 100
    assert (np.diff(stamps) > 0).all()
    program.stop()


def test_nothing_before_the_first_fix(robot: Robot, heard: list[TransformStamped]) -> None:
    robot.localize()
    robot.graph.wait_for(lambda: heard)
    robot.restart_track()
    for _ in range(TRIES):  # what was sent before may still be on its way
        heard.clear()
        robot.graph.spin()
        if not heard:
            break
    robot.configure(tf_timeout=0.0, base_frame="nobody_knows_it")
    assert not robot.ask(partial(robot.send_image, robot.frames[0])).is_fix
    robot.graph.spin()
    assert heard == []


@pytest.mark.parametrize("flat", [False, True])
def test_map_to_base_is_the_pose(robot: Robot, heard: list[TransformStamped], flat: bool) -> None:
    robot.configure(tf_mode="map_to_base", two_d_mode=flat)
    answer = robot.localize_until(lambda: heard)
    assert heard[-1].child_frame_id == BASE_FRAME
    assert to_stamp_ns(heard[-1].header.stamp) == answer.stamp_ns
    pose = matrix_of(robot.pose_of(answer).pose.pose)
    np.testing.assert_allclose(matrix_of_transform(heard[-1]), pose, atol=1e-9)
    assert (pose[2, 3] == 0) == flat


def test_map_to_camera_is_the_pose_of_the_camera(robot: Robot, heard: list[TransformStamped]) -> None:
    """No other TF is needed. A parameter says which camera, for the one of the images has a parent already."""
    robot.configure(tf_mode="map_to_camera", camera_frame="a_camera_in_the_hand", tf_timeout=0.0)
    answer = robot.localize_until(lambda: heard)
    assert answer.is_fix
    assert heard[-1].child_frame_id == "a_camera_in_the_hand"
    assert to_stamp_ns(heard[-1].header.stamp) == answer.stamp_ns
    camera, base = robot.camera_pose_of(answer).pose, robot.pose_of(answer).pose.pose
    np.testing.assert_allclose(matrix_of_transform(heard[-1]), matrix_of(camera), atol=1e-9)
    assert base == camera


def test_map_to_odom_is_flat_in_two_d_mode(robot: Robot, heard: list[TransformStamped]) -> None:
    robot.configure(two_d_mode=True)
    robot.localize()
    robot.graph.wait_for(lambda: heard)
    drift = matrix_of_transform(heard[-1])
    np.testing.assert_allclose([drift[2, 3], drift[2, 2]], (0, 1), atol=1e-12)


@pytest.mark.parametrize(("pitch_deg", "height_m"), [(0, 0), (2, 0), (8, 2)])
def test_in_two_d_mode_the_robot_is_at_its_pose_however_odometry_is_tilted(
    robot: Robot, heard: list[TransformStamped], pitch_deg: float, height_m: float
) -> None:
    pitch = np.radians(pitch_deg) / 2
    map_from_odom = from_quaternion((0, np.sin(pitch), 0, np.cos(pitch)), (-20, -10, -height_m))
    odom_from_base = invert(map_from_odom) @ robot.frames[0].map_from_camera @ invert(BASE_FROM_CAMERA)
    robot.configure(two_d_mode=True)

    def send(stamp_ns: int) -> None:
        robot.send_tf(odom_from_base, ODOM_FRAME, BASE_FRAME, stamp_ns)
        robot.send_image(robot.frames[0], stamp_ns)

    answer = robot.ask(send)
    robot.graph.wait_for(lambda: heard)
    seen = planar(matrix_of_transform(heard[-1]) @ odom_from_base)
    np.testing.assert_allclose(seen, matrix_of(robot.pose_of(answer).pose.pose), atol=1e-6)


def test_the_camera_may_be_the_robot_with_odometry(robot: Robot, heard: list[TransformStamped]) -> None:
    robot.configure(base_frame="")
    answer = robot.localize_until(lambda: heard)
    assert {t.child_frame_id for t in heard} == {ODOM_FRAME}
    pose = matrix_of(robot.pose_of(answer).pose.pose)
    np.testing.assert_allclose(pose, matrix_of(robot.camera_pose_of(answer).pose), atol=1e-12)


def test_without_a_mode_there_is_no_transform(robot: Robot, heard: list[TransformStamped]) -> None:
    robot.configure(tf_mode="none")
    assert robot.localize().is_fix
    robot.graph.spin()
    assert heard == []


def test_missing_transform_is_said_and_recovered_from(robot: Robot) -> None:
    robot.configure(tf_timeout=0.0, base_frame="nobody_knows_it")
    answer = robot.ask(partial(robot.send_image, robot.frames[0]))
    assert answer["rejection"].startswith("no_transform: nobody_knows_it <- camera_optical")
    robot.configure(base_frame=BASE_FRAME, tf_timeout=5.0)
    assert robot.localize().is_fix


def test_missing_odometry_is_said_and_recovered_from(robot: Robot) -> None:
    robot.configure(tf_timeout=0.0)
    answer = robot.ask(partial(robot.send_image, robot.frames[0]))
    assert answer["rejection"].startswith("no_transform: odom <- base_link")
    robot.configure(tf_timeout=5.0)
    assert robot.localize().is_fix


def test_late_odometry_is_waited_for(robot: Robot) -> None:
    robot.configure(tf_timeout=10.0)

    def send(stamp_ns: int) -> None:
        robot.send_image(robot.frames[0], stamp_ns)
        robot.graph.spin(0.3)
        robot.send_odometry(robot.frames[0], stamp_ns)

    assert robot.ask(send).is_fix


def test_a_loop_of_frames_is_said_and_recovered_from(robot: Robot) -> None:
    robot.configure(tf_timeout=0.1, odom_frame="looping_odom")

    def send_loop(stamp_ns: int) -> None:
        robot.send_tf(np.eye(4), "looping_odom", "looping_odom_too", stamp_ns)
        robot.send_tf(np.eye(4), "looping_odom_too", "looping_odom", stamp_ns)
        robot.graph.spin(0.1)
        robot.send_image(robot.frames[0], stamp_ns)

    assert robot.ask(send_loop)["rejection"].startswith("no_transform: looping_odom <- base_link")
    robot.configure(tf_timeout=5.0, odom_frame=ODOM_FRAME)
    assert robot.localize().is_fix


def test_a_transform_of_a_negative_stamp_costs_no_other_one(robot: Robot) -> None:
    odd = to_transform_stamped(np.eye(4), "somewhere", "else", 0)
    odd.header.stamp.sec = -1
    tf = robot.graph.node.create_publisher(TFMessage, "/tf", 10)
    robot.graph.wait_for(tf.get_subscription_count)

    def send(stamp_ns: int) -> None:
        odometry = to_transform_stamped(np.eye(4), "other_odom", BASE_FRAME, stamp_ns)
        tf.publish(TFMessage(transforms=[odd, odometry]))
        robot.send_image(robot.frames[0], stamp_ns)

    robot.configure(odom_frame="other_odom")
    assert robot.ask(send).is_fix
    robot.graph.node.destroy_publisher(tf)


def test_the_maps_frame_below_itself_is_said(robot: Robot) -> None:
    robot.configure(odom_frame="map")
    assert robot.localize()["rejection"].startswith("no_transform: 'map' is the map's frame")
    refused = robot.graph.set_parameter(robot.relocalizer, "odom_frame", BASE_FRAME)
    assert f"both '{BASE_FRAME}'" in refused.reason


def test_a_transform_to_beyond_the_stars_is_said_and_not_believed(robot: Robot) -> None:
    robot.configure(camera_frame="far_camera")
    far_away = np.eye(4)
    far_away[0, 3] = 1e300

    def send(stamp_ns: int) -> None:
        robot.send_tf(far_away, BASE_FRAME, "far_camera", stamp_ns)
        robot.send(robot.frames[0], stamp_ns)

    rejection = robot.ask(send)["rejection"]
    assert rejection.startswith("no_transform: base_link <- far_camera: ")
    assert "1e+300" in rejection


def test_odometry_at_300_hz_is_received_in_time(robot: Robot) -> None:
    """The transform of the image's stamp comes last of a burst; queued one by one behind images, it would be late."""
    robot.configure(tf_timeout=2.0)

    def send(stamp_ns: int) -> None:
        for age_ms in range(3000, 0, -10):
            robot.send_odometry(robot.frames[0], stamp_ns - age_ms * 1_000_000)
            robot.graph.spin(0.003)
        robot.send(robot.frames[0], stamp_ns)

    assert robot.ask(send).is_fix
