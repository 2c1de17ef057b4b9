"""Writes a bag: any messages, or a data set as a robot that drives along it would have recorded it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

from vloc_ros.bags.reader import STATIC_TF_TOPIC, bag_packages, typestore
from vloc_ros.errors import ConfigError
from vloc_ros.files import atomic_path, write_errors

Storage = Literal["mcap", "sqlite3"]
Compression = Literal["none", "chunk", "message", "file"]
STORAGES: tuple[Storage, ...] = get_args(Storage)
COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)
COMPRESSIONS_OF: dict[Storage, tuple[Compression, ...]] = {
    "mcap": ("none", "chunk", "file"),  # compressed messages would be nonsense to all but rosbag2
    "sqlite3": ("none", "message", "file"),
}

UNSAFE_IN_URI = frozenset("#?%")  # rosbags gives SQLite the path as a URI, as it is: to SQLite, another file's name
FORMAT_VERSION: Literal[9] = 9  # of metadata.yaml; ROS 2 Jazzy writes it too


class BagWriter:
    """An open bag that messages are written to; topics come into being with their first message."""

    def __init__(self, writer: Any) -> None:
        self._writer, self._types, self._connections = writer, typestore(), dict[str, Any]()

    def write(self, topic: str, msgtype: str, recorded_ns: int, message: Any) -> None:
        self.write_raw(topic, msgtype, recorded_ns, self._types.serialize_cdr(message, msgtype))

    def write_raw(self, topic: str, msgtype: str, recorded_ns: int, raw: bytes | memoryview) -> None:
        """Write a message that is serialized already."""
        if topic not in self._connections:
            qos = [_latched()] if topic.endswith(STATIC_TF_TOPIC) else []
            self._connections[topic] = self._writer.add_connection(
                topic, msgtype, typestore=self._types, offered_qos_profiles=qos
            )
        self._writer.write(self._connections[topic], recorded_ns, raw)


@contextmanager
def open_writer(path: Path, storage: Storage = "mcap", compression: Compression = "none") -> Iterator[BagWriter]:
    """Write a bag directory that is there completely or not at all.

    Raises ConfigError where there is something, for a compression that the storage does not have, and for what cannot
    be written, as when the disk is full.
    """
    if compression not in COMPRESSIONS_OF[storage]:
        known = ", ".join(COMPRESSIONS_OF[storage])
        raise ConfigError(f"{path}: compression {compression} is not for {storage}, which has {known}")
    with bag_packages():
        from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer, WriterError
    if path.exists():
        raise ConfigError(f"{path}: is there already, not overwritten")
    if storage == "sqlite3" and (odd := UNSAFE_IN_URI & set(str(path.absolute()))):
        raise ConfigError(f"{path}: an sqlite3 bag cannot have {' and '.join(sorted(odd))} in its path, an mcap can")
    with write_errors(path, also=(sqlite3.Error, WriterError)), atomic_path(path) as partial:
        writer = Writer(partial, version=FORMAT_VERSION, storage_plugin=StoragePlugin[storage.upper()])
        mode = CompressionMode.STORAGE if compression == "chunk" else CompressionMode[compression.upper()]
        writer.set_compression(mode, CompressionFormat.ZSTD)
        with writer:
            yield BagWriter(writer)


def _latched() -> Any:
    """What late subscribers must still get."""
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    forever = QosTime(9223372036, 854775807)  # as ROS 2 writes it
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL,
        deadline=forever,
        lifespan=forever,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=forever,
        avoid_ros_namespace_conventions=False,
    )
