"""Where the robot is by now: map -> odom, and `~/filtered_pose`, between the fixes too."""

import threading
from contextlib import ExitStack

from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.qos import QoSProfile
from tf2_ros import TransformBroadcaster

from vloc_ros.geometry.stamps import RESTARTED_NS
from vloc_ros.ros.conversions import header, to_stamped_pose, to_transform_stamped
from vloc_ros.ros.node import VlocNode
from vloc_ros.ros.odometry_feed import OdometryFeed
from vloc_ros.ros.parameters import MAP_TO_ODOM, RelocalizerParameters
from vloc_ros.tracking.pose_tracker import Believed, PoseTracker
from vloc_ros.tracking.smoothing import Published

QOS = QoSProfile(depth=10)


class DriftBroadcast:
    """A timer calls `send`, and the thread with the images at each fix.

    `~/filtered_pose` is what the filter believes, with its covariance. map -> odom follows it without steps, except
    where the robot was placed anew.
    """

    def __init__(
        self,
        node: VlocNode[RelocalizerParameters],
        scope: ExitStack,
        broadcaster: TransformBroadcaster,
        tracker: PoseTracker,
        odometry: OdometryFeed,
    ) -> None:
        self._node, self._broadcaster, self._tracker, self._odometry = node, broadcaster, tracker, odometry
        self._filtered_pose = node.publisher(scope, PoseWithCovarianceStamped, "~/filtered_pose", QOS)
        self._lock = threading.Lock()
        self._last_ns = 0  # when it was last broadcast
        self._published: Published | None = None

    def send(self) -> None:
        """Broadcast it, dated ahead, if that is the mode and there is a fix with odometry."""
        parameters = self._node.parameters
        if parameters.tf_mode != MAP_TO_ODOM:
            return
        # Held while it is published: tf2 ignores a transform that is older than one before it, or of the same stamp, so
        # that they must leave here in the order of their stamps.
        with self._lock:
            odometry = self._odometry.update()
            if odometry is None:
                believed = self._tracker.believed()
            else:
                believed = self._tracker.believed_of(odometry.stamp_ns, odometry.odom_from_base, parameters.tracking)
            if believed is None or believed.fix.odom_from_base is None:
                self._published = None
                return
            now_ns, last_ns = self._node.now_ns(), self._last_ns
            self._last_ns = last_ns + 1 if 0 <= last_ns - now_ns < RESTARTED_NS else now_ns
            self._broadcast(believed, parameters)
            if odometry and believed.estimate:
                self._publish_pose(believed)

    def _broadcast(self, believed: Believed, parameters: RelocalizerParameters) -> None:
        source = believed.estimate or believed.fix
        wanted, odom_from_base = source.map_from_odom, source.odom_from_base
        assert wanted is not None
        assert odom_from_base is not None
        before = self._published or Published(wanted, believed.placements, self._last_ns)
        self._published = before.next(wanted, odom_from_base, believed.placements, self._last_ns)
        ahead_ns = self._last_ns + int(parameters.transform_tolerance * 1e9)
        frames = believed.fix.map_frame, parameters.odom_frame
        self._broadcaster.sendTransform(to_transform_stamped(self._published.map_from_odom, *frames, ahead_ns))

    def _publish_pose(self, believed: Believed) -> None:
        estimate = believed.estimate
        assert estimate is not None
        where = header(estimate.stamp_ns, believed.fix.map_frame)
        self._filtered_pose.publish(to_stamped_pose(estimate.map_from_base, estimate.covariance, where))
