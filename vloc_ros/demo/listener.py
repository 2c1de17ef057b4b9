"""Hears what the relocalizer says, and asks TF as any other node of a robot would."""

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Pose, PoseWithCovarianceStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import PointCloud2
from sensor_msgs_py import point_cloud2
from tf2_ros import Buffer, TransformException, TransformListener

from vloc_ros.demo.answers import Answer, Filtered, Played
from vloc_ros.geometry.transforms import Matrix, from_quaternion
from vloc_ros.ros.conversions import to_matrix, to_stamp_ns
from vloc_ros.ros.diagnostics import from_message
from vloc_ros.ros.map_server import LANDMARKS_OF
from vloc_ros.tracking.state import State
from vloc_ros.tracking.status import ImageReport, Status

LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True, eq=False)
class Heard:
    """A pose of the base and how long after its image it came."""

    map_from_base: Matrix
    latency_ms: float


def matrix_of(pose: Pose) -> Matrix:
    """(4, 4), of a message."""
    p, q = pose.position, pose.orientation
    return from_quaternion([q.x, q.y, q.z, q.w], [p.x, p.y, p.z])


class Listener:
    """Collects, by stamp of the image: poses, status reports, and `look_up`s. Its callbacks run in another thread."""

    def __init__(self, node: Node, base_frame: str, places: Collection[str] = ()) -> None:
        """`places`: those of a map of several."""
        self._node, self._base_frame = node, base_frame
        self._lock = threading.Lock()
        self._buffer = Buffer()
        self._tf_listener = TransformListener(self._buffer, node)
        self._poses: dict[int, Heard] = {}
        self._filtered: dict[int, Filtered] = {}
        self._reports: dict[int, ImageReport] = {}
        self._cpu_percent: list[float] = []
        self._from_tf: dict[int, Matrix] = {}
        self._map_frame = ""
        self._landmarks: dict[str, PointCloud2] = {}
        self._landmark_topics = [LANDMARKS_OF.format(place) for place in places] or ["map/landmarks"]
        self._places: dict[int, str] = {}
        self._newest: Status | None = None
        self.first_fix_s: float | None = None  # time.monotonic() of it
        node.create_subscription(PoseWithCovarianceStamped, "relocalizer/pose", self._on_pose, 100)
        node.create_subscription(PoseWithCovarianceStamped, "relocalizer/filtered_pose", self._on_filtered, 100)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        node.create_subscription(DiagnosticStatus, "relocalizer/status", self._on_status, LATCHED)
        for topic in self._landmark_topics:
            node.create_subscription(PointCloud2, topic, partial(self._on_landmarks, topic), LATCHED)

    @property
    def state(self) -> State:
        """What the relocalizer last said of itself."""
        return self._newest.state if self._newest else State.UNINITIALIZED

    @property
    def newest_status(self) -> Status | None:
        """The last one, None before the first."""
        return self._newest

    @property
    def pose_count(self) -> int:
        return len(self._poses)

    @property
    def cpu_percent(self) -> float | None:
        """Processor time of the relocalizer, of one core's: the median of its seconds; None if it did not say."""
        return float(np.median(self._cpu_percent)) if self._cpu_percent else None

    @property
    def landmarks(self) -> Matrix | None:
        """Landmarks of the map (N, 3) in metres; None until the map server has sent them."""
        if len(self._landmarks) < len(self._landmark_topics):
            return None
        clouds = [self._landmarks[topic] for topic in self._landmark_topics]
        points = [point_cloud2.read_points_numpy(cloud, ["x", "y", "z"]).astype(float) for cloud in clouds]
        joined: Matrix = np.concatenate(points)
        return joined

    def look_up(self, stamp_ns: int) -> None:
        """Ask TF where the base was then, with what is known now."""
        if not self._map_frame:
            return
        try:
            found = self._buffer.lookup_transform(self._map_frame, self._base_frame, Time(nanoseconds=stamp_ns))
        except TransformException:
            return
        self._from_tf[stamp_ns] = to_matrix(found.transform)

    def answer(self, played: Played) -> Answer:
        """All that was heard of one image."""
        with self._lock:
            heard, report = self._poses.get(played.stamp_ns), self._reports.get(played.stamp_ns)
            filtered = self._filtered.get(played.stamp_ns)
        return Answer(
            played=played,
            reported=report is not None or heard is not None,
            pose=heard.map_from_base if heard else None,
            latency_ms=heard.latency_ms if heard else None,
            localize_ms=report.localize_ms if report else None,
            from_tf=self._from_tf.get(played.stamp_ns),
            inliers=_inliers(report),
            place=self._places.get(played.stamp_ns, ""),
            filtered=filtered,
            search=report.search if report else "",
        )

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        stamp_ns = to_stamp_ns(message.header.stamp)
        latency_ms = (self._node.get_clock().now().nanoseconds - stamp_ns) * 1e-6
        if self.first_fix_s is None:
            self.first_fix_s = time.monotonic()
        with self._lock:
            self._poses[stamp_ns] = Heard(matrix_of(message.pose.pose), latency_ms)
        self._map_frame = message.header.frame_id

    def _on_filtered(self, message: PoseWithCovarianceStamped) -> None:
        """The last one of a stamp stays: after the fix of that stamp, where there is one."""
        covariance = np.asarray(message.pose.covariance).reshape(6, 6)
        with self._lock:
            self._filtered[to_stamp_ns(message.header.stamp)] = Filtered(matrix_of(message.pose.pose), covariance)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        said = (pair for status in message.status for pair in status.values if pair.key == "cpu_percent")
        self._cpu_percent += [float(pair.value) for pair in said]

    def _on_status(self, message: DiagnosticStatus) -> None:
        self._newest = from_message(message)
        if image := self._newest.image:
            with self._lock:
                self._reports[image.stamp_ns] = image
                if len(self._landmark_topics) > 1 and image.refusal is None:
                    self._places[image.stamp_ns] = self._newest.place

    def _on_landmarks(self, topic: str, message: PointCloud2) -> None:
        self._landmarks[topic] = message


def _inliers(report: ImageReport | None) -> dict[str, int]:
    """Of the cameras whose images were looked at, if there are several."""
    cameras = report.cameras if report else {}
    return {name: camera.inliers for name, camera in cameras.items() if camera.inliers is not None}
