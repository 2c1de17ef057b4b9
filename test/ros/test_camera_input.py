"""Where images are looked for, how many of them, and what is said if none come."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger
from support.graph import Graph
from support.robot import Robot, camera_info, compressed_image, raw_image

from vloc_ros.datasets import Frame
from vloc_ros.ros.camera_input import NEWEST, CameraInput, image_topic, silence
from vloc_ros.ros.node import VlocNode
from vloc_ros.ros.parameters import RelocalizerParameters

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
WITHOUT_A_MAP = {"threads": 1, "tf_mode": "none", "base_frame": ""}


def publisher(kind: str, qos: QoSProfile = NEWEST) -> TopicEndpointInfo:
    return TopicEndpointInfo(node_name="camera", node_namespace="/robot1", topic_type=kind, qos_profile=qos)


@pytest.mark.parametrize(
    ("topic", "transport", "expected"),
    [
        ("/cam/image_raw", "raw", "/cam/image_raw"),
        ("/cam/image_raw", "compressed", "/cam/image_raw/compressed"),
        ("/cam/image_raw/compressed", "compressed", "/cam/image_raw/compressed"),
        ("/cam/image_raw/compressed", "raw", "/cam/image_raw/compressed"),
    ],
)
def test_compressed_images_are_where_image_transport_has_them(topic: str, transport: str, expected: str) -> None:
    assert image_topic(topic, transport) == expected


def test_silence_names_the_topic_the_type_and_the_cause() -> None:
    def said(*publishers: TopicEndpointInfo, others: tuple[str, ...] = ()) -> str:
        return silence("/image", IMAGE, NEWEST, publishers, others)

    what = f"nothing comes on /image ({IMAGE}): "
    assert said() == f"{what}nobody publishes it"
    assert said(others=("/d", "/c", "/b", "/a")) == f"{what}nobody publishes it; of this type there is /a, /b, /c"
    assert said(publisher(COMPRESSED)).startswith(f"{what}/robot1/camera publishes {COMPRESSED} there")
    assert said(publisher(IMAGE)).startswith(f"{what}/robot1/camera publishes it, but no message arrives")
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    text = silence("/image", IMAGE, latched, [publisher(IMAGE)], ())
    assert text.startswith(f"{what}the QoS of /robot1/camera does not go with it: ")
    assert "\n" not in text


class Listener(Node):  # type: ignore[misc]
    """Takes images and calibrations when it is spun."""

    parameters = RelocalizerParameters()


def test_of_what_came_together_the_calibration_is_taken_first(graph: Graph, frames: list[Frame]) -> None:
    context = graph.node.context
    node, executor, taken = Listener("listener", context=context), SingleThreadedExecutor(context=context), list[str]()
    executor.add_node(node)
    with ExitStack() as scope:
        take_image, take_info = (lambda *_, kind=kind: taken.append(kind) for kind in ("image", "info"))
        CameraInput(cast("VlocNode[RelocalizerParameters]", node), scope, take_image, take_info)
        robot = Robot(graph, frames)
        robot.wait_to_be_heard()
        robot.images.publish(raw_image(frames[0].image.rgb))
        robot.infos.publish(camera_info(frames[0].image.camera))
        graph.spin()
        while len(taken) < 2:
            executor.spin_once(1.0)
    assert taken == ["info", "image"]
    executor.shutdown()
    node.destroy_node()


def test_a_topic_without_messages_is_told_in_the_log(graph: Graph) -> None:
    program = graph.start("relocalizer", "-r", "image:=/cam/image_raw", **WITHOUT_A_MAP)
    publishers = [graph.node.create_publisher(CompressedImage, topic, 1) for topic in ("/cam/image_raw", "/other")]
    graph.wait_for(lambda: len(program.lines("nothing comes on")) == 2)
    image, info = sorted(program.lines("nothing comes on"), key=lambda line: "camera_info" in line)
    assert f"/cam/image_raw ({IMAGE}): /test_client publishes {COMPRESSED} there" in image
    assert "/camera_info (sensor_msgs/msg/CameraInfo): nobody publishes it" in info
    for made in publishers:
        graph.node.destroy_publisher(made)
    program.stop()


def test_the_advice_on_a_missing_topic_is_not_the_relocalizers_own_picture(graph: Graph) -> None:
    program = graph.start("relocalizer", **WITHOUT_A_MAP)
    graph.wait_for(lambda: program.lines("nothing comes on /image"))
    assert "debug_image" not in program.log
    program.stop()


def test_a_topic_with_messages_is_not(graph: Graph, frames: list[Frame]) -> None:
    """For as long as another one, that was started later, takes to say it."""
    program = graph.start("relocalizer", **WITHOUT_A_MAP)
    robot = Robot(graph, frames)
    robot.wait_to_be_heard()
    later = graph.start("relocalizer", "-r", "__ns:=/elsewhere", **WITHOUT_A_MAP)
    while not later.lines("nothing comes on"):
        assert later.is_running, later.log
        robot.send_image(frames[0], robot.now_ns())
        graph.spin(0.2)
    assert not program.lines("nothing comes on")
    for each in (program, later):
        each.stop()


@pytest.mark.parametrize("remapping", ["image:=/cam/image_raw", "/image/compressed:=/cam/image_raw/compressed"])
def test_compressed_images_are_found_beside_the_topic_that_is_given(
    graph: Graph, frames: list[Frame], shipped_map: Path, remapping: str
) -> None:
    parameters = {**WITHOUT_A_MAP, "map": shipped_map, "image_transport": "compressed"}
    program = graph.start("relocalizer", "-r", remapping, **parameters)
    robot = Robot(graph, frames)
    images = graph.node.create_publisher(CompressedImage, "/cam/image_raw/compressed", 1)
    raw = graph.node.create_publisher(Image, "/cam/image_raw", 1)
    graph.wait_for(lambda: images.get_subscription_count() and robot.infos.get_subscription_count(), "subscriptions")
    assert raw.get_subscription_count() == 0

    def send(stamp_ns: int) -> None:
        robot.infos.publish(camera_info(frames[0].image.camera, stamp_ns))
        images.publish(compressed_image(frames[0].image.rgb, stamp_ns))

    assert robot.ask(send).is_fix
    program.stop()


def test_no_more_images_than_allowed_are_localized(robot: Robot) -> None:
    """Sent as fast as they are answered, for as long as three may be: then three or four are."""
    robot.configure(max_rate_hz=2.0)
    robot.localize()
    known = len(robot.statuses)
    start_s = time.monotonic()
    while time.monotonic() < start_s + 1.5:
        robot.send(robot.frames[0], robot.now_ns())
        robot.graph.spin(0.05)
    seconds = time.monotonic() - start_s
    robot.graph.spin()
    stamps = {pair.value for status in robot.statuses[known:] for pair in status.values if pair.key == "stamp"}
    assert 1 <= len(stamps) <= 2 * seconds + 3


def test_a_trigger_is_served_whatever_the_rate(robot: Robot) -> None:
    robot.configure(max_rate_hz=0.01)
    robot.localize()
    answer = robot.graph.call_async(Trigger, "/relocalizer/trigger")
    while not answer.done():
        robot.send(robot.frames[0], robot.now_ns())
        robot.graph.spin(0.2)
    assert answer.result().success, answer.result().message
