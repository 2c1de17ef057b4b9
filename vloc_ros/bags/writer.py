"""Writes a bag: any messages, or a data set as a robot that drives along it would have recorded it."""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from vloc_ros.bags import messages
from vloc_ros.bags.reader import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    NS,
    ODOMETRY,
    POSE,
    RAW_IMAGE,
    STATIC_TF_TOPIC,
    TF,
    TF_TOPIC,
    needs,
    typestore,
)
from vloc_ros.core.transforms import Matrix
from vloc_ros.datasets.drive import BASE_FRAME, CAMERA_FRAME, MAP_FRAME, ODOM_FRAME, OdometryDrift, plan_drive
from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import ConfigError

Storage = Literal["mcap", "sqlite3"]
Compression = Literal["none", "chunk", "message", "file"]
STORAGES: tuple[Storage, ...] = get_args(Storage)
COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)
COMPRESSIONS_OF: dict[Storage, tuple[Compression, ...]] = {
    "mcap": ("none", "chunk", "file"),  # compressed messages would be nonsense to all but rosbag2
    "sqlite3": ("none", "message", "file"),
}

IMAGE_TOPIC, INFO_TOPIC, TRUTH_TOPIC = "/image", "/camera_info", "/ground_truth/camera_pose"
COMPRESSED_TOPIC = f"{IMAGE_TOPIC}/compressed"
ODOMETRY_TOPIC = "/odom"
START_NS = 1_700_000_000 * NS  # of every bag, so that the same data set gives the same messages
NO_DRIFT = OdometryDrift(distance=0, turn=0, pull_deg_per_m=0)
UNSAFE_IN_URI = frozenset("#?%")  # rosbags gives SQLite the path as a URI, as it is: to SQLite, another file's name
FORMAT_VERSION: Literal[9] = 9  # of metadata.yaml; ROS 2 Jazzy writes it too


@dataclass(frozen=True)
class WriteOptions:
    """How a bag is stored, how the images are, how many there are a second, and what the odometry gets wrong.

    `jpeg_quality`: 1 to 100, None for raw images. Raises ConfigError.
    """

    storage: Storage = "mcap"
    compression: Compression = "none"
    jpeg_quality: int | None = None
    rate_hz: float = 10.0
    map_frame: str = MAP_FRAME
    drift: OdometryDrift = NO_DRIFT

    def __post_init__(self) -> None:
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            raise ConfigError(f"JPEG quality {self.jpeg_quality}: must be 1 to 100")
        if not 0.1 <= self.rate_hz <= 1000:
            raise ConfigError(f"rate {self.rate_hz:g}: must be 0.1 to 1000 images a second")


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
    try:
        from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer, WriterError
    except ModuleNotFoundError as error:
        raise needs(error) from error
    if path.exists():
        raise ConfigError(f"{path}: is there already, not overwritten")
    if storage == "sqlite3" and (odd := UNSAFE_IN_URI & set(str(path.absolute()))):
        raise ConfigError(f"{path}: an sqlite3 bag cannot have {' and '.join(sorted(odd))} in its path, an mcap can")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            partial = Path(folder) / path.name
            writer = Writer(partial, version=FORMAT_VERSION, storage_plugin=StoragePlugin[storage.upper()])
            mode = CompressionMode.STORAGE if compression == "chunk" else CompressionMode[compression.upper()]
            writer.set_compression(mode, CompressionFormat.ZSTD)
            with writer:
                yield BagWriter(writer)
            partial.replace(path)
    except (OSError, sqlite3.Error, WriterError) as error:
        raise ConfigError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from error


def write_dataset(
    path: Path,
    dataset: Dataset,
    base_from_camera: Matrix,
    options: WriteOptions,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Write a data set as a bag: images, camera_info, true camera poses, odometry, TF from odom to the camera.

    Frames are `rate_hz` a second, whatever their own stamps are. `progress(done, total)` is called after each. Raises
    DatasetError for a frame that cannot be read, ConfigError for a bag that cannot be written.
    """
    drive = plan_drive(dataset, base_from_camera, drift=options.drift)
    with open_writer(path, options.storage, options.compression) as bag:
        mounting = messages.transform(START_NS, BASE_FRAME, CAMERA_FRAME, base_from_camera)
        bag.write(STATIC_TF_TOPIC, TF, START_NS, messages.transforms(mounting))
        for step in range(len(drive)):
            stamp_ns = START_NS + round(step * NS / options.rate_hz)
            _write_motion(bag, stamp_ns, drive.odom_from_base[step])
            _write_view(bag, stamp_ns, dataset, step, options)
            if progress:
                progress(step + 1, len(drive))


def _write_motion(bag: BagWriter, stamp_ns: int, odom_from_base: Matrix) -> None:
    moved = messages.transform(stamp_ns, ODOM_FRAME, BASE_FRAME, odom_from_base)
    bag.write(TF_TOPIC, TF, stamp_ns, messages.transforms(moved))
    bag.write(ODOMETRY_TOPIC, ODOMETRY, stamp_ns, messages.odometry(stamp_ns, ODOM_FRAME, BASE_FRAME, odom_from_base))


def _write_view(bag: BagWriter, stamp_ns: int, dataset: Dataset, index: int, options: WriteOptions) -> None:
    """The truth, and the image last, as cameras are slower than all else."""
    image = dataset.frame(index).image
    truth = messages.pose(stamp_ns, options.map_frame, dataset.map_from_camera(index))
    bag.write(TRUTH_TOPIC, POSE, stamp_ns, truth)
    bag.write(INFO_TOPIC, CAMERA_INFO, stamp_ns, messages.camera_info(stamp_ns, CAMERA_FRAME, image.camera))
    if options.jpeg_quality is None:
        bag.write(IMAGE_TOPIC, RAW_IMAGE, stamp_ns, messages.image(stamp_ns, CAMERA_FRAME, image.rgb))
    else:
        jpeg = messages.jpeg_image(stamp_ns, CAMERA_FRAME, image.rgb, options.jpeg_quality)
        bag.write(COMPRESSED_TOPIC, COMPRESSED_IMAGE, stamp_ns, jpeg)


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
