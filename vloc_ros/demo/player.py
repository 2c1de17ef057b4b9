"""Publishes a drive as a robot does: camera images and info, odometry, and TF."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from vloc_ros.core.types import CameraImage
from vloc_ros.datasets import Dataset
from vloc_ros.datasets.bag_export import OPTICAL_FRAME
from vloc_ros.datasets.drive import BASE_FRAME, CAMERA_FRAME, ODOM_FRAME, Drive
from vloc_ros.demo.answers import Played
from vloc_ros.demo.listener import Listener
from vloc_ros.evaluation.corruptions import covered
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.camera_info import info_fields
from vloc_ros.ros.camera_input import ONLY_CAMERA, topic_of
from vloc_ros.ros.conversions import header, to_image, to_pose, to_transform_stamped
from vloc_ros.ros.programs import as_arguments

IMAGES_AHEAD = 256  # decoded and waiting; 640 x 480 pixels are 0.9 MB


@dataclass(frozen=True, eq=False)
class Shot:
    """What a camera gives at one step, but for the stamp."""

    image: Image
    info: CameraInfo


@dataclass(frozen=True)
class Rig:
    """The cameras that the frames have views of, by name, none where there is one only; `covered`: one that a hand is
    on during the middle third of the drive, "" for none."""

    cameras: tuple[str, ...] = ()
    covered: str = ""

    def frame(self, camera: str) -> str:
        """The optical frame of a camera."""
        return f"{camera}_{OPTICAL_FRAME}" if camera else CAMERA_FRAME


ONE_CAMERA = Rig()


class DrivePlayer:
    """Plays a drive in real time. Images are made ahead of time in a thread, so that publishing costs little."""

    def __init__(self, node: Node, dataset: Dataset, drive: Drive, rate_hz: float, rig: Rig = Rig()) -> None:
        self._node, self._dataset, self._drive, self._rate_hz, self._rig = node, dataset, drive, rate_hz, rig
        self._cameras = rig.cameras or ONLY_CAMERA
        self._covered_steps = range(len(drive) // 3, 2 * len(drive) // 3) if rig.covered else range(0)
        publisher = partial(node.create_publisher, qos_profile=qos_profile_sensor_data)
        self._images = [publisher(Image, topic_of(camera, "image")) for camera in self._cameras]
        self._infos = [publisher(CameraInfo, topic_of(camera, "camera_info")) for camera in self._cameras]
        self._odometry = node.create_publisher(Odometry, "odom", 10)
        self._tf = TransformBroadcaster(node)
        self._static_tf = StaticTransformBroadcaster(node)
        self._maker = ThreadPoolExecutor(1, "views")
        self._steps = iter(range(len(drive)))
        self._shots = deque[Future[list[Shot]]]()
        self._make_ahead(IMAGES_AHEAD // len(self._cameras))

    base_frame = BASE_FRAME

    @property
    def relocalizer_arguments(self) -> list[str]:
        return as_arguments({"cameras": list(self._rig.cameras)}) if self._rig.cameras else []

    def __len__(self) -> int:
        """Images of the whole drive."""
        return len(self._drive)

    def prepare(self, progress: Callable[[int], None]) -> None:
        """Wait for the images that are made ahead; `progress(count)` is called after each. Raises DatasetError for one
        that cannot be read."""
        for count, shots in enumerate(self._shots, start=1):
            shots.result()
            progress(count)
        views = zip(self._cameras, self._dataset.frame(self._drive.frames[0]).query.views, strict=True)
        base_from_first, now_ns = self._drive.base_from_camera, self._now_ns()
        mountings = [
            to_transform_stamped(base_from_first @ view.rig_from_camera, BASE_FRAME, self._rig.frame(camera), now_ns)
            for camera, view in views
        ]
        self._static_tf.sendTransform(mountings)

    def stand(self) -> Iterator[None]:
        """Publish while the robot stands where it will start, until the caller has had enough."""
        for _ in ticks(self._rate_hz):
            self._publish(0, self._first)
            yield

    def may_start(self, listener: Listener) -> bool:
        """As soon as the robot knows where it is."""
        return listener.first_fix_s is not None

    def play(self) -> Iterator[Played]:
        """Publish step by step. Raises DatasetError for an image that cannot be read."""
        for step, _ in zip(range(len(self)), ticks(self._rate_hz), strict=False):
            stamp_ns = self._publish(step, self._next_shots() if step else self._first)
            drive, covered = self._drive, self._rig.covered if step in self._covered_steps else ""
            yield Played(
                stamp_ns=stamp_ns,
                map_from_base=drive.map_from_base[step],
                odom_from_base=drive.odom_from_base[step],
                kidnapped=step in drive.kidnapped,
                covered=covered,
                place=self._dataset.place(drive.frames[step]),
            )

    def _publish(self, step: int, shots: list[Shot]) -> int:
        """Publish a step as of now, the images last, as cameras are slower than wheels; returns the stamp."""
        stamp_ns = self._now_ns()
        odom_from_base = self._drive.odom_from_base[step]
        self._tf.sendTransform(to_transform_stamped(odom_from_base, ODOM_FRAME, BASE_FRAME, stamp_ns))
        odometry = Odometry(header=header(stamp_ns, ODOM_FRAME), child_frame_id=BASE_FRAME)
        odometry.pose.pose = to_pose(odom_from_base)
        self._odometry.publish(odometry)
        for camera, shot, infos, images in zip(self._cameras, shots, self._infos, self._images, strict=True):
            shot.info.header = shot.image.header = header(stamp_ns, self._rig.frame(camera))
            infos.publish(shot.info)
            images.publish(shot.image)
        return stamp_ns

    def close(self) -> None:
        """Make no more images. A thread that is still in OpenCV when Python ends would abort the program."""
        self._maker.shutdown(cancel_futures=True)

    @cached_property
    def _first(self) -> list[Shot]:
        return self._next_shots()

    def _next_shots(self) -> list[Shot]:
        self._make_ahead(1)
        return self._shots.popleft().result()

    def _make_ahead(self, count: int) -> None:
        self._shots.extend(self._maker.submit(self._make_shots, step) for step in islice(self._steps, count))

    def _make_shots(self, step: int) -> list[Shot]:
        views = self._dataset.frame(self._drive.frames[step]).query.views
        return [
            self._make_shot(view.image, camera == self._rig.covered and step in self._covered_steps, step)
            for camera, view in zip(self._cameras, views, strict=True)
        ]

    def _make_shot(self, image: CameraImage, is_covered: bool, step: int) -> Shot:
        rgb = covered(image.rgb, np.random.default_rng(step)) if is_covered else image.rgb
        return Shot(to_image(header(0, ""), rgb), to_camera_info(image.camera))

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)


def to_camera_info(camera: Camera) -> CameraInfo:
    """The calibration as a driver publishes it, but for its header."""
    return CameraInfo(**info_fields(camera))


def ticks(rate_hz: float) -> Iterator[None]:
    """At once, and then in real time at this rate; after a delay the rate goes on from there, without a burst."""
    due_s = time.monotonic()
    while True:
        yield
        due_s = max(due_s + 1 / rate_hz, time.monotonic())
        time.sleep(max(0.0, due_s - time.monotonic()))
