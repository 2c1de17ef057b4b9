"""Plays a ROS 2 bag: a robot's own images and TF, in the bag's time."""

import posixpath
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

from vloc_ros.core.tracking import State
from vloc_ros.errors import ConfigError
from vloc_ros.ros.demo.listener import Listener
from vloc_ros.ros.demo.player import BASE_FRAME
from vloc_ros.ros.demo.score import Played

RAW_IMAGE, COMPRESSED_IMAGE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO, TF = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"
STATIC_TF_TOPIC = "/tf_static"
CLOCK_PERIOD_S = 0.01
ENCAPSULATION_BYTES = 4  # in front of every serialized message


@dataclass(frozen=True, eq=False)
class Bag:
    """An open bag: the reader of `rosbags`, its connections to be played, and which of them are the camera's."""

    reader: Any
    connections: list[Any]
    image: Any
    info_topic: str

    @property
    def has_tf(self) -> bool:
        return any(connection.msgtype == TF for connection in self.connections)

    def messages(self) -> Iterator[tuple[Any, int, bytes]]:
        """Connection, time in nanoseconds and the serialized message, in the order of recording."""
        yield from self.reader.messages(self.connections)


def open_bag(path: Path) -> Bag:
    """Open a bag: a directory, .mcap or .db3. Raises ConfigError for what is none, or has no images of a camera."""
    try:
        from rosbags.rosbag2 import Reader, ReaderError
    except ModuleNotFoundError as error:
        raise ConfigError(f"playing bags needs the Python package '{error.name}': pip install rosbags") from error
    try:
        reader = Reader(path)
        reader.open()
    except (ReaderError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as a ROS 2 bag: {error}") from error
    images = [c for c in reader.connections if c.msgtype in (RAW_IMAGE, COMPRESSED_IMAGE) and c.msgcount]
    infos = [c for c in reader.connections if c.msgtype == CAMERA_INFO and c.msgcount]
    if not images or not infos:
        raise ConfigError(f"{path}: a camera needs images and camera_info; has {len(images)} and {len(infos)} of them")
    image = max(images, key=lambda connection: connection.msgcount)
    info = max(infos, key=lambda connection: len(posixpath.commonpath([connection.topic, image.topic])))
    transforms = [connection for connection in reader.connections if connection.msgtype == TF]
    return Bag(reader, [image, info, *transforms], image, info.topic)


class BagPlayer:
    """Publishes images, camera info and TF as they were recorded, and /clock. Without TF, the camera is the robot."""

    def __init__(self, node: Node, bag: Bag) -> None:
        self._bag = bag
        node.set_parameters([Parameter("use_sim_time", value=True)])
        self._clock = node.create_publisher(Clock, "/clock", 10)
        self._publishers = {
            c.topic: node.create_publisher(_message_type(c.msgtype), c.topic, _qos(c.topic)) for c in bag.connections
        }
        _, self._start_ns, _ = next(bag.messages())
        first_image = next(raw for connection, _, raw in bag.messages() if connection is bag.image)
        self._camera_frame = _header(first_image)[1]

    @property
    def base_frame(self) -> str:
        return BASE_FRAME if self._bag.has_tf else self._camera_frame

    @property
    def relocalizer_arguments(self) -> list[str]:
        topics = {"image": self._bag.image.topic, "camera_info": self._bag.info_topic}
        transport = "compressed" if self._bag.image.msgtype == COMPRESSED_IMAGE else "raw"
        parameters = {"use_sim_time": "true", "image_transport": transport}
        if not self._bag.has_tf:
            parameters |= {"base_frame": '""', "tf_mode": "map_to_camera"}
        remaps = [word for name, topic in topics.items() for word in ("-r", f"{name}:={topic}")]
        return [*remaps, *(word for name, value in parameters.items() for word in ("-p", f"{name}:={value}"))]

    def __len__(self) -> int:
        return int(self._bag.image.msgcount)

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
        for connection, recorded_ns, raw in self._bag.messages():
            due_s = started_s + (recorded_ns - self._start_ns) * 1e-9
            while (early_s := due_s - time.monotonic()) > 0:
                self._publish_clock(recorded_ns - int(early_s * 1e9))
                time.sleep(min(early_s, CLOCK_PERIOD_S))
            self._publish_clock(recorded_ns)
            self._publishers[connection.topic].publish(bytes(raw))
            if connection is self._bag.image:
                yield Played(_header(raw)[0])

    def _publish_clock(self, now_ns: int) -> None:
        self._clock.publish(Clock(clock=Time(nanoseconds=now_ns).to_msg()))


def _message_type(name: str) -> Any:
    package, _, kind = name.split("/")
    return getattr(import_module(f"{package}.msg"), kind)


def _qos(topic: str) -> QoSProfile:
    durability = DurabilityPolicy.TRANSIENT_LOCAL if topic == STATIC_TF_TOPIC else DurabilityPolicy.VOLATILE
    return QoSProfile(depth=100, durability=durability)


def _header(raw: bytes) -> tuple[int, str]:
    """Stamp in nanoseconds and frame of a serialized message that begins with a header."""
    order = "<" if raw[1] & 1 else ">"
    seconds, nanoseconds, length = struct.unpack_from(f"{order}iII", raw, ENCAPSULATION_BYTES)
    begin = ENCAPSULATION_BYTES + 12
    return seconds * 1_000_000_000 + nanoseconds, bytes(raw[begin : begin + length]).rstrip(b"\0").decode()
