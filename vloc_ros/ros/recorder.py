"""The node that writes down what a relocalizer says, for `vloc evaluate --recorded`."""

import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TextIO

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from rclpy.qos import DurabilityPolicy, QoSProfile

from vloc_ros.errors import ConfigError, reason_of
from vloc_ros.evaluation.recorded import (
    CAMERA_POSE_FILE,
    COVARIANCE_FILE,
    FILTERED_COVARIANCE_FILE,
    FILTERED_FILE,
    POSE_FILE,
    STATUS_FILE,
)
from vloc_ros.files import write_errors
from vloc_ros.geometry.trajectory import StampedPose, to_tum_line
from vloc_ros.ros.conversions import from_pose, to_stamp_ns
from vloc_ros.ros.node import VlocNode
from vloc_ros.ros.parameters import RecorderParameters

RELIABLE = QoSProfile(depth=100)
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


POSES, FILTERED_POSES = (POSE_FILE, COVARIANCE_FILE), (FILTERED_FILE, FILTERED_COVARIANCE_FILE)


class Recorder(VlocNode[RecorderParameters]):
    """Writes `relocalizer/pose`, `relocalizer/filtered_pose`, `relocalizer/camera_pose` and `relocalizer/status` into
    the directory `out`, a line a message, each on its way to the disk before the next one is looked at."""

    def __init__(self) -> None:
        super().__init__("recorder", RecorderParameters)
        self._files: dict[str, TextIO] = {}  # by name, while the node is configured

    def configure(self, scope: ExitStack) -> None:
        if not self.parameters.out:
            raise ConfigError("parameter out is empty: give it a directory to write")
        directory = Path(self.parameters.out).expanduser()
        for name in (*POSES, *FILTERED_POSES, CAMERA_POSE_FILE, STATUS_FILE):
            self._files[name] = scope.enter_context(_new_file(directory / name))

    def activate(self, scope: ExitStack) -> None:
        for subscription in (
            self.create_subscription(
                PoseWithCovarianceStamped, "relocalizer/pose", partial(self._on_pose, POSES), RELIABLE
            ),
            self.create_subscription(
                PoseWithCovarianceStamped, "relocalizer/filtered_pose", partial(self._on_pose, FILTERED_POSES), RELIABLE
            ),
            self.create_subscription(PoseStamped, "relocalizer/camera_pose", self._on_camera_pose, RELIABLE),
            self.create_subscription(DiagnosticStatus, "relocalizer/status", self._on_status, LATCHED),
        ):
            scope.callback(self.destroy_subscription, subscription)
        self.get_logger().info(f"recording into {self.parameters.out}")

    def _on_pose(self, files: tuple[str, str], message: PoseWithCovarianceStamped) -> None:
        line = to_tum_line(StampedPose(to_stamp_ns(message.header.stamp), from_pose(message.pose.pose)))
        self._write(files[0], line)
        covariance = " ".join(repr(float(value)) for value in message.pose.covariance)
        self._write(files[1], f"{line.split()[0]} {covariance}")

    def _on_camera_pose(self, message: PoseStamped) -> None:
        self._write(
            CAMERA_POSE_FILE, to_tum_line(StampedPose(to_stamp_ns(message.header.stamp), from_pose(message.pose)))
        )

    def _on_status(self, message: DiagnosticStatus) -> None:
        self._write(STATUS_FILE, json.dumps({value.key: value.value for value in message.values}))

    def _write(self, name: str, line: str) -> None:
        file = self._files[name]
        try:
            file.write(f"{line}\n")
            file.flush()
        except OSError as error:
            self.get_logger().error(f"{file.name}: {reason_of(error)}", throttle_duration_sec=10.0)


def _new_file(path: Path) -> TextIO:
    with write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("x", encoding="utf-8")
