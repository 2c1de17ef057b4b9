"""TF between nodes: who comes late gets what is static, who listens gets what moves."""

import time
from collections.abc import Iterator

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from support.tf_transforms import LATEST, START, look_up, transform
from tf2_ros.buffer import Buffer
from tf2_ros.static_transform_broadcaster import StaticTransformBroadcaster
from tf2_ros.transform_broadcaster import TransformBroadcaster
from tf2_ros.transform_listener import TransformListener

from vloc_ros.ros.domains import reserve_domain

WAIT_S = 10.0


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Node, Node, SingleThreadedExecutor]]:
    """Two nodes that see each other and nobody else, and what spins them."""
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = Context()
    rclpy.init(context=context, domain_id=reserve_domain())
    sender = Node("sender", context=context, start_parameter_services=False)
    receiver = Node("receiver", context=context, start_parameter_services=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(sender)
    executor.add_node(receiver)
    yield sender, receiver, executor
    executor.shutdown()
    sender.destroy_node()
    receiver.destroy_node()
    context.try_shutdown()


def wait_for(buffer: Buffer, target: str, source: str, executor: SingleThreadedExecutor) -> None:
    deadline = time.monotonic() + WAIT_S
    while not buffer.can_transform(target, source, LATEST):
        assert time.monotonic() < deadline, f"no transform {target} <- {source}"
        executor.spin_once(timeout_sec=0.1)


def test_a_late_listener_gets_every_static_transform(nodes: tuple[Node, Node, SingleThreadedExecutor]) -> None:
    sender, receiver, executor = nodes
    static = StaticTransformBroadcaster(sender)
    static.sendTransform([transform("base", "camera", xyz=(1.0, 0.0, 0.0)), transform("base", "lidar")])
    static.sendTransform(transform("camera", "camera_optical", xyz=(2.0, 0.0, 0.0)))
    buffer = Buffer(node=receiver)
    listener = TransformListener(buffer, receiver)
    wait_for(buffer, "lidar", "camera_optical", executor)
    assert look_up(buffer, "base", "camera_optical")[0, 3] == 3.0
    listener.unregister()


def test_a_listener_gets_what_moves(nodes: tuple[Node, Node, SingleThreadedExecutor]) -> None:
    sender, receiver, executor = nodes
    buffer = Buffer()
    listener = TransformListener(buffer, receiver)
    broadcaster = TransformBroadcaster(sender)
    deadline = time.monotonic() + WAIT_S
    while not sender.count_subscribers("/tf"):
        assert time.monotonic() < deadline, "the listener does not appear"
        executor.spin_once(timeout_sec=0.1)
    stamp = START
    while not buffer.can_transform("map", "base", LATEST):
        assert time.monotonic() < deadline, "no transform arrives"
        broadcaster.sendTransform((transform("odom", "base", stamp), transform("map", "odom", stamp)))
        executor.spin_once(timeout_sec=0.1)
        stamp += 0.1
    listener.unregister()
    assert sender.count_publishers("/tf") == 1
