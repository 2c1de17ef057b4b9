"""Opens a bag: its topics, their serialized messages in the order of recording, and what they say."""

import struct
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any

from vloc_ros.errors import ConfigError, DatasetError

RAW_IMAGE, COMPRESSED_IMAGE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO, TF = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"
POSE, POSE_WITH_COVARIANCE = "geometry_msgs/msg/PoseStamped", "geometry_msgs/msg/PoseWithCovarianceStamped"
ODOMETRY, TRANSFORM = "nav_msgs/msg/Odometry", "geometry_msgs/msg/TransformStamped"
STATIC_TF_TOPIC = "/tf_static"  # or one whose name ends so, in a namespace
ENCAPSULATION_BYTES = 4  # in front of every serialized message
NS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Topic:
    """A topic of a bag with at least one message; `connections` are those of `rosbags`, one for each publisher."""

    name: str
    msgtype: str
    count: int
    connections: tuple[Any, ...]

    @property
    def is_static_tf(self) -> bool:
        return self.msgtype == TF and self.name.endswith(STATIC_TF_TOPIC)

    def __str__(self) -> str:
        return f"{self.name} ({self.msgtype.rpartition('/')[2]}, {self.count} messages)"


@dataclass(frozen=True)
class Message:
    """A message as it was recorded: its topic, when it was recorded, and its serialized content."""

    topic: str
    msgtype: str
    recorded_ns: int
    raw: bytes

    @property
    def header(self) -> tuple[int, str]:
        """Stamp in nanoseconds and frame of a message that begins with a header. Raises DatasetError."""
        try:
            order = "<" if self.raw[1] & 1 else ">"
            seconds, nanoseconds, length = struct.unpack_from(f"{order}iII", self.raw, ENCAPSULATION_BYTES)
            begin = ENCAPSULATION_BYTES + 12
            return seconds * NS + nanoseconds, self.raw[begin : begin + length].rstrip(b"\0").decode()
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise DatasetError(f"{self.topic}: a message without a header: {error}") from error


class Bag(AbstractContextManager["Bag"]):
    """An open bag. `topics`: those with messages, by name; types that nobody here knows do no harm."""

    def __init__(self, path: Path, reader: Any) -> None:
        self.path, self._reader = path, reader
        self._types = typestore()
        connections = sorted(reader.connections, key=lambda c: (c.topic, c.msgtype))
        grouped = groupby(connections, key=lambda c: (c.topic, c.msgtype))
        topics = ((*key, tuple(same)) for key, same in grouped)
        counted = (Topic(name, kind, sum(c.msgcount for c in same), same) for name, kind, same in topics)
        self.topics = tuple(topic for topic in counted if topic.count)

    def of_type(self, *msgtypes: str) -> tuple[Topic, ...]:
        """The topics of these types."""
        return tuple(topic for topic in self.topics if topic.msgtype in msgtypes)

    def named(self, name: str, *msgtypes: str) -> Topic:
        """The topic of this name and one of these types. Raises DatasetError listing those there are."""
        found = [topic for topic in self.of_type(*msgtypes) if topic.name == name]
        if not found:
            kinds = " or ".join(kind.rpartition("/")[2] for kind in msgtypes)
            there = listed(self.of_type(*msgtypes))
            raise DatasetError(f"{self.path}: no topic {name} of {kinds} with messages; {there}")
        return found[0]

    def messages(self, topics: Iterable[Topic]) -> Iterator[Message]:
        """The messages of these topics in the order of recording. Raises DatasetError for a damaged bag."""
        connections = [connection for topic in topics for connection in topic.connections]
        if not connections:  # to `rosbags`, none are all
            return
        messages = self._reader.messages(connections)
        while True:
            try:
                connection, recorded_ns, raw = next(messages)
            except StopIteration:
                return
            except Exception as error:  # of whatever class, from the depths of SQLite, zstd or struct
                raise damaged(self.path, error) from error
            yield Message(connection.topic, connection.msgtype, recorded_ns, bytes(raw))

    def read(self, message: Message) -> Any:
        """The content of a message of a type that ROS 2 comes with. Raises DatasetError."""
        try:
            return self._types.deserialize_cdr(message.raw, message.msgtype)
        except Exception as error:
            what = f"{message.topic}: message of {message.recorded_ns / NS:.3f} s"
            raise DatasetError(f"{self.path}: {what} cannot be read: {error}") from error

    def close(self) -> None:
        self._reader.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


def open_bag(path: Path) -> Bag:
    """Open a bag: its directory, or an .mcap or .db3 file. Raises DatasetError for what is none, or is empty."""
    try:
        from rosbags.rosbag2 import Reader
    except ModuleNotFoundError as error:
        raise needs(error) from error
    try:
        reader = Reader(path)
        reader.open()
    except FileNotFoundError as error:
        raise DatasetError(_absent(path)) from error
    except Exception as error:  # as for `messages`
        raise damaged(path, error) from error
    bag = Bag(path, reader)
    if not bag.topics:
        bag.close()
        raise DatasetError(f"{path}: the bag is empty, it has no messages")
    return bag


def typestore() -> Any:
    """The types of ROS 2 Jazzy; those that are read here have not changed since Foxy. Raises ConfigError."""
    try:
        from rosbags.typesys import Stores, get_typestore
    except ModuleNotFoundError as error:
        raise needs(error) from error
    return get_typestore(Stores.ROS2_JAZZY)


def needs(error: ModuleNotFoundError) -> ConfigError:
    """What to do when a package that bags need is not installed. Raises the error if it is about anything else."""
    if error.name is None or error.name.startswith("vloc_ros"):
        raise error
    return ConfigError(f"bags need the Python package '{error.name}': pip install rosbags scipy")


def damaged(path: Path, error: Exception) -> DatasetError:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return DatasetError(f"{path}: no complete ROS 2 bag (cut short, or still being recorded?): {reason}")


def listed(topics: Iterable[Topic]) -> str:
    """The candidates of a choice, for a message."""
    names = [str(topic) for topic in topics]
    return f"there are {', '.join(names)}" if names else "there are none of that type"


def _absent(path: Path) -> str:
    if not path.is_dir():
        return f"{path}: no such bag"
    parts = sorted(part.name for part in path.iterdir() if part.suffix in (".mcap", ".db3"))
    return f"{path}: no metadata.yaml in it" + (f"; name one of its files instead: {', '.join(parts)}" if parts else "")
