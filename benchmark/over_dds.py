"""Whether the nodes give the poses of `localize()`, frame by frame, and what ROS adds to its time.

python benchmark/over_dds.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split test

Images are published one at a time, each when the answer to the one before has come.
"""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from inputs import data_of, opened, parser_of
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from results import Results
from sensor_msgs.msg import CameraInfo, Image

from vloc_ros.core.types import CameraImage, PoseEstimate
from vloc_ros.datasets import Dataset
from vloc_ros.demo.player import to_camera_info
from vloc_ros.demo.processes import Program, isolate
from vloc_ros.geometry.transforms import to_quaternion
from vloc_ros.localizer import Localizer
from vloc_ros.ros.conversions import header, to_image, to_stamp_ns
from vloc_ros.ros.diagnostics import from_message
from vloc_ros.ros.node import LATCHED
from vloc_ros.ros.programs import as_arguments
from vloc_ros.tracking.status import ImageReport

ANSWER_TIMEOUT_S, ATTEMPTS = 2.0, 20
# The camera is the robot, no fix is too far from the one before, and none begins with what that has shown: every pose
# of `localize()` is published.
PARAMETERS = {"tf_mode": "map_to_camera", "max_jump_m": 1e6, "max_jump_deg": 180.0, "global_every": 1}


class Asker(Node):
    """Publishes one image and waits for what becomes of it."""

    def __init__(self) -> None:
        super().__init__("asker")
        self.lost = 0
        self._images = self.create_publisher(Image, "image", qos_profile_sensor_data)
        self._infos = self.create_publisher(CameraInfo, "camera_info", qos_profile_sensor_data)
        self._poses: dict[int, tuple[PoseStamped, float]] = {}
        self._reports: dict[int, ImageReport] = {}
        self.create_subscription(PoseStamped, "relocalizer/camera_pose", self._on_pose, 10)
        self.create_subscription(DiagnosticStatus, "relocalizer/status", self._on_status, LATCHED)

    def ask(self, image: CameraImage) -> tuple[PoseStamped | None, float, ImageReport]:
        """Pose, milliseconds from stamp to its arrival, and report. Images may get lost: then it is sent again."""
        for _ in range(ATTEMPTS):
            stamp_ns = self._send(image)
            deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
            while not self._is_answered(stamp_ns) and time.monotonic() < deadline_s:
                rclpy.spin_once(self, timeout_sec=0.1)
            if stamp_ns in self._reports:
                return *self._poses.get(stamp_ns, (None, 0.0)), self._reports[stamp_ns]
            self.lost += 1
        raise TimeoutError("the relocalizer does not answer")

    def _is_answered(self, stamp_ns: int) -> bool:
        """A pose is published before its report, and may come after it."""
        report = self._reports.get(stamp_ns)
        return report is not None and (report.refusal is not None or stamp_ns in self._poses)

    def _send(self, image: CameraImage) -> int:
        stamp_ns = int(self.get_clock().now().nanoseconds)
        info = to_camera_info(image.camera)
        info.header = header(stamp_ns, "camera")
        self._infos.publish(info)
        self._images.publish(to_image(info.header, image.rgb))
        return stamp_ns

    def _on_pose(self, message: PoseStamped) -> None:
        stamp_ns = to_stamp_ns(message.header.stamp)
        self._poses[stamp_ns] = message, (self.get_clock().now().nanoseconds - stamp_ns) * 1e-6

    def _on_status(self, message: DiagnosticStatus) -> None:
        status = from_message(message)
        if status.map_id and status.image:
            self._reports[status.image.stamp_ns] = status.image


def difference(pose: PoseStamped, expected: PoseEstimate) -> tuple[float, float]:
    """Largest difference of position (m) and of quaternion components between the two."""
    p, q = pose.pose.position, pose.pose.orientation
    offset = np.array([p.x, p.y, p.z]) - expected.map_from_camera[:3, 3]
    turn = np.array([q.x, q.y, q.z, q.w]) - to_quaternion(expected.map_from_camera[:3, :3])
    return float(np.abs(offset).max()), float(np.abs(turn).max())


def main() -> None:
    options = parser_of(__doc__).parse_args()
    localizer, dataset = opened(options)
    isolate()
    with ExitStack() as scope:
        logs = Path(scope.enter_context(tempfile.TemporaryDirectory()))
        server = Program("map_server", as_arguments({"map": options.map.resolve()}), logs / "server.log")
        scope.callback(server.stop)
        relocalizer = Program("relocalizer", as_arguments(PARAMETERS), logs / "relocalizer.log")
        scope.callback(relocalizer.stop)
        rclpy.init()
        scope.callback(rclpy.try_shutdown)
        asker = Asker()
        while not asker.ask(dataset.frame(0).image)[0]:
            time.sleep(0.1)
        asker.lost = 0
        results = Results(
            data_of(options, len(dataset)),
            {
                "images": "{images}",
                "poses both over DDS and offline": "{poses}",
                "only one way": "{one_way}",
                "lost": "{lost}",
                "largest difference": "{metres:.3g} m, {quaternion:.3g} in the quaternion",
                "stamp to pose, p50 / p95": "{p50_ms:.1f} / {p95_ms:.1f} ms",
                "added by ROS, p50": "{added_ms:.1f} ms",
            },
        )
        results.add(**compare(asker, localizer, dataset))
        results.write(options.json)


def compare(asker: Asker, localizer: Localizer, dataset: Dataset) -> dict[str, float]:
    """Figures of all images of the data set."""
    differences, latencies, added, disagree = [], [], [], 0
    for index in range(len(dataset)):
        image = dataset.frame(index).image
        pose, arrived_ms, report = asker.ask(image)
        expected = localizer.localize(image)
        if (pose is not None) != isinstance(expected, PoseEstimate):
            disagree += 1
        elif pose is not None and isinstance(expected, PoseEstimate):
            differences.append(difference(pose, expected))
            latencies.append(arrived_ms)
            assert report.localize_ms is not None
            added.append(arrived_ms - report.localize_ms)
    metres, turns = np.max(differences, axis=0)
    p50, p95 = np.percentile(latencies, (50, 95))
    return {
        "images": len(dataset),
        "poses": len(differences),
        "one_way": disagree,
        "lost": asker.lost,
        "metres": metres,
        "quaternion": turns,
        "p50_ms": p50,
        "p95_ms": p95,
        "added_ms": float(np.percentile(added, 50)),
    }


if __name__ == "__main__":
    main()
