"""How often map -> base_link is not there yet for whoever asks TF where the robot is now, by transform_tolerance.

python benchmark/tf_now.py --tolerances 0.1 0.3 0.5 1.0 --seconds 30 --busy 2

Images come at 30 Hz, odometry at 50 Hz, and a node asks 30 times a second. `--busy` processes compute beside.
"""

import argparse
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from results import Results, add_json
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer, StaticTransformBroadcaster, TransformBroadcaster, TransformException, TransformListener

from vloc_ros.datasets import Frame, open_dataset
from vloc_ros.datasets.drive import robot_extrinsics
from vloc_ros.demo.player import to_camera_info
from vloc_ros.demo.processes import Program, isolate
from vloc_ros.geometry.transforms import invert
from vloc_ros.ros.conversions import header, to_image, to_stamp_ns, to_transform_stamped
from vloc_ros.ros.programs import as_arguments
from vloc_ros.shipped import shipped

IMAGES_HZ, ODOMETRY_HZ, ASKED_HZ = 30.0, 50.0, 30.0
CAMERA, BASE, ODOM, MAP = "camera", "base_link", "odom", "map"


class StandingRobot(Node):
    """Publishes one image again and again, and odometry that says that nothing moves."""

    def __init__(self, frame: Frame) -> None:
        super().__init__("robot")
        self._image, self._info = to_image(header(0, CAMERA), frame.image.rgb), to_camera_info(frame.image.camera)
        self._images = self.create_publisher(Image, "image", qos_profile_sensor_data)
        self._infos = self.create_publisher(CameraInfo, "camera_info", qos_profile_sensor_data)
        self._tf = TransformBroadcaster(self)
        static = StaticTransformBroadcaster(self)
        static.sendTransform(to_transform_stamped(robot_extrinsics(), BASE, CAMERA, 0))
        self._odom_from_base = frame.map_from_camera @ invert(robot_extrinsics())
        self.create_timer(1 / IMAGES_HZ, self._send_image)
        self.create_timer(1 / ODOMETRY_HZ, self._send_odometry)

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _send_image(self) -> None:
        self._image.header = self._info.header = header(self._now_ns(), CAMERA)
        self._infos.publish(self._info)
        self._images.publish(self._image)

    def _send_odometry(self) -> None:
        self._tf.sendTransform(to_transform_stamped(self._odom_from_base, ODOM, BASE, self._now_ns()))


class Asker(Node):
    """Asks where odom is in the map now, and looks at the stamps of that transform."""

    def __init__(self) -> None:
        super().__init__("asker")
        self.stamps_ns: list[int] = []
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self)
        self.create_subscription(TFMessage, "/tf", self._on_tf, QoSProfile(depth=500))

    def _on_tf(self, message: TFMessage) -> None:
        self.stamps_ns += [to_stamp_ns(t.header.stamp) for t in message.transforms if t.header.frame_id == MAP]

    def answered(self) -> bool:
        try:
            self._buffer.lookup_transform(MAP, ODOM, self.get_clock().now())
        except TransformException:
            return False
        return True


def compute() -> None:
    while True:
        np.linalg.inv(np.random.default_rng(0).random((200, 200)))


@contextmanager
def spinning(node: Node) -> Iterator[None]:
    """In a thread of its own."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join()


def measure(tolerance_s: float, rate_hz: float, seconds: float, frame: Frame, logs: Path) -> dict[str, float]:
    with ExitStack() as scope:
        own = {"transform_tolerance": tolerance_s, "tf_publish_rate": rate_hz}
        words = as_arguments({"map": shipped("maps/demo_room"), **own})
        scope.callback(Program("relocalizer", words, logs / "relocalizer.log").stop)
        rclpy.init()
        scope.callback(rclpy.try_shutdown)
        robot, asker = StandingRobot(frame), Asker()
        for node in (robot, asker):
            scope.enter_context(spinning(node))
        while not asker.answered():
            time.sleep(0.1)
        asker.stamps_ns.clear()
        end_s, asked, failed = time.monotonic() + seconds, 0, 0
        while time.monotonic() < end_s:
            asked, failed = asked + 1, failed + (not asker.answered())
            time.sleep(1 / ASKED_HZ)
        steps = np.diff(asker.stamps_ns)
        return {
            "failed": failed,
            "asked": asked,
            "broadcasts": len(steps),
            "late": int((steps <= 0).sum()),
            "longest_ms": float(steps.max() * 1e-6),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tolerances", type=float, nargs="+", default=[0.1, 0.2, 0.3, 0.5, 1.0], help="s")
    parser.add_argument("--rate", type=float, default=20.0, help="tf_publish_rate, Hz")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each of them")
    parser.add_argument("--busy", type=int, default=2, help="processes that compute beside")
    add_json(parser)
    options = parser.parse_args()
    frame = open_dataset("synthetic_room", None, "drive").frame(0)
    isolate()
    busy = [multiprocessing.Process(target=compute, daemon=True) for _ in range(options.busy)]
    for process in busy:
        process.start()
    columns = {
        "`transform_tolerance`": "{tolerance_s:g} s",
        "look-ups that failed": "{failed} of {asked}",
        "broadcasts": "{broadcasts}",
        "not later than the one before": "{late}",
        "longest step": "{longest_ms:.0f} ms",
    }
    data = (
        f"Data: images at 30 Hz, odometry at 50 Hz, {ASKED_HZ} look-ups a second for now, {options.busy} busy processes"
    )
    results = Results(data, columns)
    with tempfile.TemporaryDirectory() as logs:
        for tolerance_s in options.tolerances:
            figures = measure(tolerance_s, options.rate, options.seconds, frame, Path(logs))
            results.add(tolerance_s=tolerance_s, **figures)
    results.write(options.json)


if __name__ == "__main__":
    main()
