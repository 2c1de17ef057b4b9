"""Odometry that says how noisy it is: the relocalizer believes it, says so in its log, and its filter does."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from support.graph import Graph
from support.robot import BASE_FRAME, BASE_FROM_CAMERA, MAP_FROM_ODOM, ODOM_FRAME, Robot

from vloc_ros.datasets import Frame
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import invert
from vloc_ros.ros.conversions import header, to_pose, to_stamp_ns

SPEED_NOISE = 0.5  # m/s: much more than the parameters say
PERIOD_NS = NS_PER_S // 20


def test_the_noise_is_what_the_messages_say(module_graph: Graph, frames: list[Frame], shipped_map: Path) -> None:
    graph = module_graph
    program = graph.start("relocalizer", map=shipped_map, threads=1, tf_timeout=5.0, odometry_topic="odom_said")
    publisher = graph.node.create_publisher(Odometry, "odom_said", 100)
    filtered = graph.listen(PoseWithCovarianceStamped, "relocalizer/filtered_pose")
    robot = Robot(graph, frames)
    robot.mount_camera()
    robot.wait_for_relocalizer()
    graph.wait_for(lambda: publisher.get_subscription_count(), "a subscription")
    said = Odometry(header=header(robot.now_ns(), "elsewhere"), child_frame_id=BASE_FRAME)
    graph.wait_for(lambda: publisher.publish(said) or program.lines("WARN", "odom_said is of 'elsewhere'"))

    answer = robot.localize_until(lambda: filtered)
    here = invert(MAP_FROM_ODOM) @ frames[0].map_from_camera @ invert(BASE_FROM_CAMERA)
    variances = np.zeros(36)
    variances[[0, 7, 35]] = SPEED_NOISE**2, SPEED_NOISE**2, 0.01**2
    for step in range(1, 21):  # ahead, 2 cm at a time
        stamp_ns, there = answer.stamp_ns + step * PERIOD_NS, here.copy()
        there[:3, 3] += 0.02 * step * here[:3, 0]
        robot.send_tf(there, ODOM_FRAME, BASE_FRAME, stamp_ns)
        message = Odometry(header=header(stamp_ns, ODOM_FRAME), child_frame_id=BASE_FRAME)
        message.pose.pose, message.twist.covariance = to_pose(there), variances
        publisher.publish(message)
        graph.spin(0.01)
    graph.wait_for(lambda: program.lines("INFO", "noise of the odometry: from the twist covariance"), "the log line")
    graph.wait_for(lambda: to_stamp_ns(filtered[-1].header.stamp) >= stamp_ns, "the filtered pose of the last message")
    # Of the first 0.2 m, before the messages were believed, the filter keeps what the parameters say.
    steps = 20 - 11
    added_m2 = steps * (SPEED_NOISE * PERIOD_NS / NS_PER_S) ** 2
    assert filtered[-1].pose.covariance[0] > added_m2
    assert len(program.lines("noise of the odometry")) == 1, "one line, when the choice changes"
