"""Publishes a drive as a robot does: camera images and info, odometry, and TF."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from vloc_ros.datasets import Dataset
from vloc_ros.datasets.drive import BASE_FRAME, CAMERA_FRAME, ODOM_FRAME, Drive
from vloc_ros.demo.listener import Listener
from vloc_ros.demo.score import Played
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.camera_info import info_fields
from vloc_ros.ros.conversions import header, to_image, to_pose, to_transform_stamped

IMAGES_AHEAD = 256  # decoded and waiting; 640 x 480 pixels are 0.9 MB


@dataclass(frozen=True, eq=False)
class View:
    """What the camera gives at one step, but for the stamp."""

    image: Image
    info: CameraInfo


class DrivePlayer:
    """Plays a drive in real time. Images are made ahead of time in a thread, so that publishing costs little."""

    def __init__(self, node: Node, dataset: Dataset, drive: Drive, rate_hz: float) -> None:
        self._node, self._dataset, self._drive, self._rate_hz = node, dataset, drive, rate_hz
        self._images = node.create_publisher(Image, "image", qos_profile_sensor_data)
        self._infos = node.create_publisher(CameraInfo, "camera_info", qos_profile_sensor_data)
        self._odometry = node.create_publisher(Odometry, "odom", 10)
        self._tf = TransformBroadcaster(node)
        self._static_tf = StaticTransformBroadcaster(node)
        self._maker = ThreadPoolExecutor(1, "views")
        self._frames = iter(drive.frames)
        self._views = deque[Future[View]]()
        self._make_ahead(IMAGES_AHEAD)

    base_frame = BASE_FRAME
    relocalizer_arguments = ()

    def __len__(self) -> int:
        """Images of the whole drive."""
        return len(self._drive)

    def prepare(self, progress: Callable[[int], None]) -> None:
        """Wait for the images that are made ahead; `progress(count)` is called after each. Raises DatasetError for one
        that cannot be read."""
        for count, view in enumerate(self._views, start=1):
            view.result()
            progress(count)
        mounting = to_transform_stamped(self._drive.base_from_camera, BASE_FRAME, CAMERA_FRAME, self._now_ns())
        self._static_tf.sendTransform(mounting)

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
            stamp_ns = self._publish(step, self._next_view() if step else self._first)
            drive = self._drive
            yield Played(stamp_ns, drive.map_from_base[step], drive.odom_from_base[step], step in drive.kidnapped)

    def _publish(self, step: int, view: View) -> int:
        """Publish a step as of now, the image last, as cameras are slower than wheels; returns the stamp."""
        stamp_ns = self._now_ns()
        odom_from_base = self._drive.odom_from_base[step]
        self._tf.sendTransform(to_transform_stamped(odom_from_base, ODOM_FRAME, BASE_FRAME, stamp_ns))
        odometry = Odometry(header=header(stamp_ns, ODOM_FRAME), child_frame_id=BASE_FRAME)
        odometry.pose.pose = to_pose(odom_from_base)
        self._odometry.publish(odometry)
        view.info.header = view.image.header = header(stamp_ns, CAMERA_FRAME)
        self._infos.publish(view.info)
        self._images.publish(view.image)
        return stamp_ns

    def close(self) -> None:
        """Make no more images. A thread that is still in OpenCV when Python ends would abort the program."""
        self._maker.shutdown(cancel_futures=True)

    @cached_property
    def _first(self) -> View:
        return self._next_view()

    def _next_view(self) -> View:
        self._make_ahead(1)
        return self._views.popleft().result()

    def _make_ahead(self, count: int) -> None:
        self._views.extend(self._maker.submit(self._make_view, frame) for frame in islice(self._frames, count))

    def _make_view(self, frame: int) -> View:
        image = self._dataset.frame(frame).image
        return View(to_image(header(0, CAMERA_FRAME), image.rgb), to_camera_info(image.camera))

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
