"""Opens a bag: its topics, their serialized messages in the order of recording, and what they say."""

import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from errno import EACCES, EIO, ENOSPC
from pathlib import Path
from types import TracebackType
from typing import Any

from vloc_ros.bags.storage import ROS2_ENCODING, Channel, Storage
from vloc_ros.bags.storage_files import open_storages, unpacked
from vloc_ros.errors import DatasetError, VlocError
from vloc_ros.geometry.stamps import NS_PER_S, join_stamp
from vloc_ros.optional_packages import optional_packages, pip_install

RAW_IMAGE, COMPRESSED_IMAGE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO, TF = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"
POSE, POSE_WITH_COVARIANCE = "geometry_msgs/msg/PoseStamped", "geometry_msgs/msg/PoseWithCovarianceStamped"
ODOMETRY, TRANSFORM = "nav_msgs/msg/Odometry", "geometry_msgs/msg/TransformStamped"
TF_TOPIC, STATIC_TF_TOPIC = "/tf", "/tf_static"  # or one whose name ends so, in a namespace
ENCAPSULATION_BYTES = 4  # in front of every serialized message


@dataclass(frozen=True, eq=False)
class Topic:
    """A topic of a bag with at least one message: its name, their type and encoding, and how many they are."""

    name: str
    msgtype: str
    encoding: str
    count: int

    @property
    def is_static_tf(self) -> bool:
        return self.msgtype == TF and self.name.endswith(STATIC_TF_TOPIC)

    def __str__(self) -> str:
        kind = self.msgtype.rpartition("/")[2] or "no type"
        encoding = "" if self.encoding == ROS2_ENCODING else f" in {self.encoding}"
        return f"{self.name} ({kind}{encoding}, {self.count} messages)"


@dataclass(frozen=True)
class Message:
    """A message as it was recorded: its bag and topic, when it was recorded, and its serialized content."""

    bag: Path
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
            (frame,) = struct.unpack_from(f"{length}s", self.raw, ENCAPSULATION_BYTES + 12)
            return join_stamp(seconds, nanoseconds), frame.rstrip(b"\0").decode()
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise DatasetError(f"{self.bag}: {self.topic}: a message without a header: {error}") from error


class Bag(AbstractContextManager["Bag"]):
    """An open bag. `topics`: those with messages, by name; types and encodings that nobody here knows do no harm."""

    def __init__(
        self, path: Path, topics: Sequence[Topic], types: Any, storages: Sequence[Storage], scope: ExitStack
    ) -> None:
        """`types` reads the messages, `scope` closes the storages."""
        self.path, self.topics = path, tuple(topics)
        self._types, self._storages, self._scope = types, storages, scope

    def of_type(self, *msgtypes: str) -> tuple[Topic, ...]:
        """The topics of these types that can be read."""
        return tuple(t for t in self.topics if t.msgtype in msgtypes and t.encoding == ROS2_ENCODING)

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
        channels = {Channel(topic.name, topic.msgtype, topic.encoding) for topic in topics}
        messages = (message for storage in self._storages for message in storage.messages(channels))
        missing = {channel.topic for channel in channels}
        while True:
            with _reading(self.path):
                if (found := next(messages, None)) is None:
                    break
                channel, recorded_ns, raw = found[0], found[1], unpacked(found[2])
            missing.discard(channel.topic)
            yield Message(self.path, channel.topic, channel.msgtype, recorded_ns, raw)

        if missing:
            raise DatasetError(f"{self.path}: {', '.join(sorted(missing))}: no messages, though the bag counts some")

    def first(self, topic: Topic) -> Message:
        """The first message of a topic. Raises DatasetError."""
        return next(self.messages([topic]))

    def read(self, message: Message) -> Any:
        """The content of a message of a type that ROS 2 comes with. Raises DatasetError."""
        with _reading(self.path, f"{message.topic}: message of {message.recorded_ns / NS_PER_S:.3f} s cannot be read"):
            return self._types.deserialize_cdr(message.raw, message.msgtype)

    def close(self) -> None:
        self._scope.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


def open_bag(path: Path) -> Bag:
    """Open a bag: its directory, or an MCAP or SQLite3 file. Raises DatasetError for what is none, or is empty."""
    with _reading(path), ExitStack() as scope:
        storages, types = open_storages(path, scope), typestore()
        topics = _topics(storages)
        if not topics:
            raise DatasetError(f"{path}: the bag is empty, it has no messages")
        if all(topic.encoding != ROS2_ENCODING for topic in topics):
            raise DatasetError(f"{path}: no messages of ROS 2 ({ROS2_ENCODING}) in it; {listed(topics)}")
        return Bag(path, topics, types, storages, scope.pop_all())


def _topics(storages: Iterable[Storage]) -> list[Topic]:
    counts = Counter[Channel]()
    for storage in storages:
        counts.update(storage.counts)
    return [Topic(*channel, count) for channel, count in sorted(counts.items()) if count > 0]


@contextmanager
def _reading(path: Path, what: str = "") -> Iterator[None]:
    """Make one DatasetError of whatever libraries raise on a damaged bag, from the depths of SQLite, zstd or struct.

    `what` failed; else the bag as a whole is the cause.
    """
    try:
        with bag_packages():
            yield
    except (VlocError, ModuleNotFoundError):
        raise
    except Exception as error:
        text = repr(error) if isinstance(error, LookupError) else str(error)  # a KeyError's text is only the key
        reason = text.strip().partition("\n")[0] or type(error).__name__
        is_refused = isinstance(error, OSError) and error.errno in (EACCES, EIO, ENOSPC)
        damaged = "cannot be read" if is_refused else "no complete ROS 2 bag (cut short, or still being recorded?)"
        fault = what or damaged
        raise DatasetError(f"{path}: {fault}: {reason}") from error


def typestore() -> Any:
    """The types of ROS 2 Jazzy; those that are read here have not changed since Foxy. Raises ConfigError."""
    with bag_packages():
        from rosbags.typesys import Stores, get_typestore
    return get_typestore(Stores.ROS2_JAZZY)


def bag_packages() -> AbstractContextManager[None]:
    """`optional_packages` for what bags need."""
    return optional_packages("reading or writing bags", pip_install("rosbags mcap scipy"))


def listed(topics: Iterable[Topic]) -> str:
    """The candidates of a choice, for a message."""
    names = [str(topic) for topic in topics]
    return f"there are {', '.join(names)}" if names else "there are none of that type"
