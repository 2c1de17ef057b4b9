"""The topic `initialpose`, both ways: where the robot is, for AMCL and friends, and hints from people."""

import math
import threading
from collections import deque
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.event_handler import PublisherEventCallbacks, QoSPublisherMatchedInfo
from rclpy.qos import QoSProfile
from tf2_ros import Buffer

from vloc_ros.errors import ConfigError, VlocError
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.ros.conversions import from_pose
from vloc_ros.ros.map_slot import MapSlot
from vloc_ros.ros.node import VlocNode
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.ros.tf_frames import MAX_DISTANCE_M, base_frame, newest_odometry
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.track import Fix, Hint

TOPIC = "initialpose"
QOS = QoSProfile(depth=10)
SIGMAS = 2.0  # a hint may be off by so many of its standard deviations
OWN_KEPT = 10


class InitialPose:
    """Publishes the first fix and every accepted jump, if `publish_initialpose` is on.

    Nobody repeats them, and whoever listens may come up later: a new subscriber is sent the newest fix if the robot is
    localized, and the next one otherwise. Fixes come from one thread, subscribers from another.
    """

    def __init__(
        self, node: VlocNode[RelocalizerParameters], scope: ExitStack, is_localized: Callable[[], bool]
    ) -> None:
        self._node, self._is_localized = node, is_localized
        self._lock = threading.Lock()  # of the three below
        self._newest: PoseWithCovarianceStamped | None = None
        self._is_awaited = False  # somebody came who has not been told yet
        self._own: deque[PoseWithCovarianceStamped] = deque(maxlen=OWN_KEPT)
        events = PublisherEventCallbacks(matched=self._on_matched)
        self._publisher = node.publisher(scope, PoseWithCovarianceStamped, TOPIC, QOS, events)

    def offer(self, pose: PoseWithCovarianceStamped, is_news: bool) -> None:
        """An accepted fix; `is_news`: it places the robot anew."""
        with self._lock:
            self._newest = pose
            if self._node.parameters.publish_initialpose and (is_news or self._is_awaited):
                self._publish(pose)

    def is_own(self, message: PoseWithCovarianceStamped) -> bool:
        """Whether this is what was published here, for we hear ourselves."""
        with self._lock:
            return message in self._own

    def _on_matched(self, status: QoSPublisherMatchedInfo) -> None:
        # Not current_count_change: somebody who comes while another goes makes that 0.
        if status.total_count_change <= 0 or not self._node.parameters.publish_initialpose:
            return
        is_localized = self._is_localized()
        with self._lock:
            self._is_awaited = True
            if is_localized and self._newest is not None and self._node.is_active:
                self._publish(self._newest)

    def _publish(self, pose: PoseWithCovarianceStamped) -> None:
        """Under the lock: nobody is told an older fix after a newer one, and we know our own before we hear it."""
        self._own.append(pose)
        self._is_awaited = False
        self._publisher.publish(pose)


class HintInput:
    """Takes hints for the time of `scope`: where somebody says on `initialpose` that the robot is, the next fix is
    expected."""

    def __init__(
        self,
        node: VlocNode[RelocalizerParameters],
        scope: ExitStack,
        slot: MapSlot,
        tracker: PoseTracker,
        buffer: Buffer,
        is_own: Callable[[PoseWithCovarianceStamped], bool],
    ) -> None:
        """`is_own`: of a message that this node has published itself."""
        self._node, self._slot, self._tracker, self._buffer, self._is_own = node, slot, tracker, buffer, is_own
        subscription = node.create_subscription(PoseWithCovarianceStamped, TOPIC, self._take, QOS)
        scope.callback(node.destroy_subscription, subscription)

    def _take(self, message: PoseWithCovarianceStamped) -> None:
        if self._is_own(message):
            return
        parameters, log = self._node.parameters, self._node.get_logger()
        try:
            odometry = newest_odometry(self._buffer, parameters)
            odom_from_base = odometry.odom_from_base if odometry else None
            hint = to_hint(message, self._map_frames(), self._node.now_ns(), odom_from_base)
        except VlocError as error:
            log.warning(f"initialpose is not taken as a hint: {error}")
            return
        if not base_frame(parameters):  # nobody draws an arrow along the image's rows
            hint = replace(hint, within_deg=math.inf)
        self._tracker.expect(hint)
        x, y = hint.fix.map_from_base[:2, 3]
        log.info(f"a hint on initialpose: the next fix near x {x:.2f}, y {y:.2f} is believed at once")

    def _map_frames(self) -> tuple[str, ...]:
        """The frames that poses may be in. Raises ConfigError without a map."""
        localizer = self._slot.localizer
        if localizer is None or not self._node.is_active:
            raise ConfigError("there is no map yet" if localizer is None else "the node is not active")
        opened = (localizer, *self._slot.others)
        return tuple(dict.fromkeys(frame for each in opened for frame in each.landmark_map.manifest.frames))


def to_hint(
    message: PoseWithCovarianceStamped, map_frames: Collection[str], now_ns: int, odom_from_base: Matrix | None
) -> Hint:
    """What a message on `initialpose` says, as RViz's "2D Pose Estimate" makes it: a place on the floor, and how sure
    somebody is of it. Its stamp is often zero: it is of now. Raises ConfigError for one that cannot be used."""
    frame = message.header.frame_id
    if frame not in map_frames:
        raise ConfigError(f"its frame is {frame!r}, must be {' or '.join(map(repr, map_frames))}")
    map_from_base = from_pose(message.pose.pose)
    if np.abs(map_from_base[:3, 3]).max() > MAX_DISTANCE_M:
        raise ConfigError(f"its position {map_from_base[:3, 3].tolist()} m is impossible")
    covariance = np.asarray(message.pose.covariance, dtype=np.float64).reshape(6, 6)
    if not np.isfinite(covariance).all() or (np.diag(covariance) < 0).any():
        raise ConfigError("its covariance has a negative variance, or a value that is not finite")
    sigma_m = float(np.sqrt(max(covariance[0, 0], covariance[1, 1])))
    sigma_deg = float(np.degrees(np.sqrt(covariance[5, 5])))
    fix = Fix(now_ns, map_from_base, odom_from_base, frame).flattened()
    return Hint(fix, SIGMAS * sigma_m, SIGMAS * sigma_deg)
