"""Plays a ROS 2 bag: a robot's own images and TF, in the bag's time."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pkgutil import resolve_name
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

from vloc_ros.bags.camera_topics import CameraTopics
from vloc_ros.bags.reader import COMPRESSED_IMAGE, STATIC_TF_TOPIC, TF, TF_TOPIC, Bag, Topic
from vloc_ros.bags.tf_topics import choose_tf
from vloc_ros.datasets.drive import BASE_FRAME
from vloc_ros.demo.answers import Played
from vloc_ros.demo.listener import Listener
from vloc_ros.ros.camera_input import image_topic, topic_of
from vloc_ros.ros.programs import as_arguments
from vloc_ros.tracking.state import State

CLOCK_PERIOD_S = 0.01


class BagPlayer:
    """Publishes images, camera info and TF as they were recorded, and /clock. Without TF, the camera is the robot.

    TF is the camera's (`choose_tf`), and goes to /tf and /tf_static whatever namespace it was recorded in.
    """

    def __init__(
        self,
        node: Node,
        bag: Bag,
        cameras: Mapping[str, CameraTopics],
        tf_topics: Sequence[str] = (),
        speed: float = 1.0,
    ) -> None:
        """`cameras`: by the names that the relocalizer is to give them, or the only one as "". `speed`: so many times
        as fast as it was recorded."""
        self._bag, self._cameras, self._speed = bag, cameras, speed
        self._camera = next(iter(cameras.values()))
        self._transforms = choose_tf(bag, self._camera.image.name, tf_topics)
        of_cameras = (topic for camera in cameras.values() for topic in (camera.image, camera.info))
        self._played = (*of_cameras, *self._transforms)
        node.set_parameters([Parameter("use_sim_time", value=True)])
        self._clock = node.create_publisher(Clock, "/clock", 10)
        self._publishers = {
            topic.name: node.create_publisher(_message_type(topic.msgtype), _played_as(topic), _qos(topic))
            for topic in self._played
        }
        self._start_ns = next(bag.messages(self._played)).recorded_ns
        _, self._camera_frame = bag.first(self._camera.image).header

    @property
    def base_frame(self) -> str:
        return BASE_FRAME if self._transforms else self._camera_frame

    @property
    def image_topic(self) -> str:
        """Of the camera, or of the rig's first."""
        return self._camera.image.name

    @property
    def relocalizer_arguments(self) -> list[str]:
        topics: dict[str, str] = {}
        for name, camera in self._cameras.items():
            topics |= {topic_of(name, "image"): camera.image.name, topic_of(name, "camera_info"): camera.info.name}
        transport = "compressed" if self._camera.image.msgtype == COMPRESSED_IMAGE else "raw"
        parameters: dict[str, object] = {"use_sim_time": True, "image_transport": transport}
        if names := [name for name in self._cameras if name]:
            parameters["cameras"] = names
        if not self._transforms:
            parameters |= {"base_frame": "", "tf_mode": "map_to_camera"}
        if transport == "compressed":  # on a topic of any name, as bags have it
            images = [camera.image.name for camera in self._cameras.values()]
            topics |= {image_topic(image, transport): image for image in images}
        remaps = [word for name, topic in topics.items() for word in ("-r", f"{name}:={topic}")]
        return [*remaps, *as_arguments(parameters)]

    def __len__(self) -> int:
        return self._camera.image.count

    def prepare(self, progress: Callable[[int], None]) -> None:
        """There is nothing to prepare."""

    def stand(self) -> Iterator[None]:
        while True:
            self._publish_clock(self._start_ns)
            time.sleep(CLOCK_PERIOD_S)
            yield

    def may_start(self, listener: Listener) -> bool:
        """As soon as the relocalizer has its map."""
        return listener.state is not State.UNINITIALIZED

    def play(self) -> Iterator[Played]:
        started_s = time.monotonic()
        for message in self._bag.messages(self._played):
            due_s = started_s + (message.recorded_ns - self._start_ns) * 1e-9 / self._speed
            while (early_s := due_s - time.monotonic()) > 0:
                self._publish_clock(message.recorded_ns - int(early_s * self._speed * 1e9))
                time.sleep(min(early_s, CLOCK_PERIOD_S))
            self._publish_clock(message.recorded_ns)
            self._publishers[message.topic].publish(message.raw)
            if message.topic == self._camera.image.name:
                yield Played(message.header[0])

    def close(self) -> None:
        """Nothing is left behind."""

    def _publish_clock(self, now_ns: int) -> None:
        self._clock.publish(Clock(clock=Time(nanoseconds=now_ns).to_msg()))


def _message_type(name: str) -> Any:
    package, _, kind = name.split("/")
    return resolve_name(f"{package}.msg:{kind}")


def _played_as(topic: Topic) -> str:
    if topic.msgtype != TF:
        return topic.name
    return STATIC_TF_TOPIC if topic.is_static_tf else TF_TOPIC


def _qos(topic: Topic) -> QoSProfile:
    durability = DurabilityPolicy.TRANSIENT_LOCAL if topic.is_static_tf else DurabilityPolicy.VOLATILE
    return QoSProfile(depth=100, durability=durability)
