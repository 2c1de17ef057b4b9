"""Writes a data set as the bag that a robot would have recorded that drives along it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.bags import messages
from vloc_ros.bags.reader import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    ODOMETRY,
    POSE,
    RAW_IMAGE,
    STATIC_TF_TOPIC,
    TF,
    TF_TOPIC,
)
from vloc_ros.bags.writer import BagWriter, Compression, Storage, open_writer
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.drive import BASE_FRAME, CAMERA_FRAME, MAP_FRAME, ODOM_FRAME, OdometryDrift, plan_drive
from vloc_ros.datasets.posed_files import DepthCamera, PosedFiles
from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.progress import Advance, no_advance

IMAGE_TOPIC, INFO_TOPIC, TRUTH_TOPIC = "/image", "/camera_info", "/ground_truth/camera_pose"
COMPRESSED_TOPIC = f"{IMAGE_TOPIC}/compressed"
DEPTH_TOPIC, DEPTH_INFO_TOPIC = "/aligned_depth/image_raw", "/aligned_depth/camera_info"
RAW_DEPTH_TOPIC, RAW_DEPTH_INFO_TOPIC = "/depth/image_raw", "/depth/camera_info"
DEPTH_FRAME = "depth_optical_frame"
OPTICAL_FRAME = "optical_frame"  # behind the name of one of several cameras
REGISTERED, RAW = "registered", "raw"
DEPTHS = ("", REGISTERED, RAW)
ODOMETRY_TOPIC = "/odom"
START_NS = 1_700_000_000 * NS_PER_S  # of every bag, so that the same data set gives the same messages
NO_DRIFT = OdometryDrift(distance=0, turn=0, pull_deg_per_m=0)


@dataclass(frozen=True)
class WriteOptions:
    """How a bag is stored, how the images are, how many there are a second, and what the odometry gets wrong.

    `jpeg_quality`: 1 to 100, None for raw images. `depth`: of DEPTHS, none, as the colour camera sees it, or raw, as
    its own camera did. Raises ConfigError.
    """

    storage: Storage = "mcap"
    compression: Compression = "none"
    jpeg_quality: int | None = None
    rate_hz: float = 10.0
    map_frame: str = MAP_FRAME
    drift: OdometryDrift = NO_DRIFT
    depth: str = ""
    cameras: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.depth not in DEPTHS:
            raise ConfigError(f"depth '{self.depth}': must be {REGISTERED} or {RAW}")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            raise ConfigError(f"JPEG quality {self.jpeg_quality}: must be 1 to 100")
        if not 0.1 <= self.rate_hz <= 1000:
            raise ConfigError(f"rate {self.rate_hz:g}: must be 0.1 to 1000 images a second")


def write_dataset(
    path: Path,
    dataset: Dataset,
    base_from_camera: Matrix,
    options: WriteOptions,
    progress: Advance = no_advance,
) -> None:
    """Write a data set as a bag: images, camera_info, true camera poses, odometry, TF from odom to the camera.

    Frames are `rate_hz` a second, whatever their own stamps are. `progress(done, total)` is called after each. Raises
    DatasetError for a frame that cannot be read, ConfigError for a bag that cannot be written.
    """
    raw = _require_raw_depth(dataset) if options.depth == RAW else None
    drive = plan_drive(dataset, base_from_camera, drift=options.drift)
    with open_writer(path, options.storage, options.compression) as bag:
        mountings = _mountings(dataset, base_from_camera, options.cameras)
        if raw is not None:
            mountings.append(messages.transform(START_NS, CAMERA_FRAME, DEPTH_FRAME, raw.camera.color_from_depth))
        bag.write(STATIC_TF_TOPIC, TF, START_NS, messages.transforms(*mountings))
        for step in range(len(drive)):
            stamp_ns = stamp_of(step, options)
            _write_motion(bag, stamp_ns, drive.odom_from_base[step])
            _write_view(bag, stamp_ns, dataset, step, options)
            if raw is not None:
                _write_raw_depth(bag, stamp_ns, raw, step)
            progress(step + 1, len(drive))


def stamp_of(step: int, options: WriteOptions) -> int:
    """Of the images of a step, nanoseconds."""
    return START_NS + round(step * NS_PER_S / options.rate_hz)


def _write_motion(bag: BagWriter, stamp_ns: int, odom_from_base: Matrix) -> None:
    moved = messages.transform(stamp_ns, ODOM_FRAME, BASE_FRAME, odom_from_base)
    bag.write(TF_TOPIC, TF, stamp_ns, messages.transforms(moved))
    bag.write(ODOMETRY_TOPIC, ODOMETRY, stamp_ns, messages.odometry(stamp_ns, ODOM_FRAME, BASE_FRAME, odom_from_base))


def _write_view(bag: BagWriter, stamp_ns: int, dataset: Dataset, index: int, options: WriteOptions) -> None:
    """The truth, and the image last, as cameras are slower than all else."""
    frame = dataset.frame(index, depth=options.depth == REGISTERED)
    truth = messages.pose(stamp_ns, options.map_frame, dataset.map_from_camera(index))
    bag.write(TRUTH_TOPIC, POSE, stamp_ns, truth)
    cameras = options.cameras or ("",)
    for camera, view in zip(cameras, frame.query.views, strict=True):
        _write_image(bag, stamp_ns, view.image, camera, options)
    if frame.depth is not None:
        for camera, view, depth in zip(cameras, frame.query.views, (frame.depth, *frame.other_depths), strict=False):
            _write_depth(bag, stamp_ns, view.image.camera, depth, camera)


def _names(camera: str) -> tuple[str, str]:
    """The namespace and the frame of one of several cameras, or of the only one, ""."""
    return (f"/{camera}", f"{camera}_{OPTICAL_FRAME}") if camera else ("", CAMERA_FRAME)


def _write_depth(bag: BagWriter, stamp_ns: int, camera: Camera, depth: NDArray[np.float32], name: str) -> None:
    """As the camera of this name sees it."""
    namespace, frame = _names(name)
    bag.write(namespace + DEPTH_INFO_TOPIC, CAMERA_INFO, stamp_ns, messages.camera_info(stamp_ns, frame, camera))
    bag.write(namespace + DEPTH_TOPIC, RAW_IMAGE, stamp_ns, messages.depth_image(stamp_ns, frame, depth))


def _write_image(bag: BagWriter, stamp_ns: int, image: CameraImage, camera: str, options: WriteOptions) -> None:
    namespace, frame = _names(camera)
    bag.write(namespace + INFO_TOPIC, CAMERA_INFO, stamp_ns, messages.camera_info(stamp_ns, frame, image.camera))
    if options.jpeg_quality is None:
        bag.write(namespace + IMAGE_TOPIC, RAW_IMAGE, stamp_ns, messages.image(stamp_ns, frame, image.rgb))
    else:
        jpeg = messages.jpeg_image(stamp_ns, frame, image.rgb, options.jpeg_quality)
        bag.write(namespace + COMPRESSED_TOPIC, COMPRESSED_IMAGE, stamp_ns, jpeg)


def _mountings(dataset: Dataset, base_from_first: Matrix, cameras: tuple[str, ...]) -> list[Any]:
    """Where the cameras sit on the base, as transforms."""
    if not cameras:
        return [messages.transform(START_NS, BASE_FRAME, CAMERA_FRAME, base_from_first)]
    views = zip(cameras, dataset.frame(0).query.views, strict=True)
    return [
        messages.transform(START_NS, BASE_FRAME, f"{camera}_{OPTICAL_FRAME}", base_from_first @ view.rig_from_camera)
        for camera, view in views
    ]


@dataclass(frozen=True, eq=False)
class _RawDepth:
    """Depth as it was recorded."""

    files: PosedFiles
    camera: DepthCamera


def _require_raw_depth(dataset: Dataset) -> _RawDepth:
    """Raise ConfigError for a data set whose depth has no camera of its own."""
    if not isinstance(dataset, PosedFiles) or dataset.depth_camera is None:
        raise ConfigError(f"--depth {RAW}: the depth of this data set is registered, it has no camera of its own")
    return _RawDepth(dataset, dataset.depth_camera)


def _write_raw_depth(bag: BagWriter, stamp_ns: int, raw: _RawDepth, index: int) -> None:
    depth = raw.files.recorded_depth(index)
    info = messages.camera_info(stamp_ns, DEPTH_FRAME, raw.camera.camera)
    bag.write(RAW_DEPTH_INFO_TOPIC, CAMERA_INFO, stamp_ns, info)
    bag.write(RAW_DEPTH_TOPIC, RAW_IMAGE, stamp_ns, messages.depth_image(stamp_ns, DEPTH_FRAME, depth))
