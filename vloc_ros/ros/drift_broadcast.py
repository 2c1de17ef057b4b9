"""map -> odom: the drift of the odometry as the last fix saw it, broadcast until the next one."""

import threading

from tf2_ros import TransformBroadcaster

from vloc_ros.ros.conversions import to_transform_stamped
from vloc_ros.ros.node import VlocNode
from vloc_ros.ros.parameters import MAP_TO_ODOM, RelocalizerParameters
from vloc_ros.tracking.pose_tracker import PoseTracker

RESTARTED_NS = 1_000_000_000  # where time has gone back so far, another run has begun


class DriftBroadcast:
    """A timer calls `send`, and the thread with the images at each fix."""

    def __init__(
        self, node: VlocNode[RelocalizerParameters], broadcaster: TransformBroadcaster, tracker: PoseTracker
    ) -> None:
        self._node, self._broadcaster, self._tracker = node, broadcaster, tracker
        self._lock = threading.Lock()
        self._last_ns = 0  # when it was last broadcast

    def send(self) -> None:
        """Broadcast it, dated ahead, if that is the mode and there is a fix with odometry."""
        parameters = self._node.parameters
        # Held while it is published: tf2 ignores a transform that is older than one before it, or of the same stamp, so
        # that they must leave here in the order of their stamps.
        with self._lock:
            fix = self._tracker.fix
            drift = fix.map_from_odom if fix else None
            if parameters.tf_mode != MAP_TO_ODOM or fix is None or drift is None:
                return
            now_ns, last_ns = self._node.now_ns(), self._last_ns
            self._last_ns = last_ns + 1 if 0 <= last_ns - now_ns < RESTARTED_NS else now_ns
            ahead_ns = self._last_ns + int(parameters.transform_tolerance * 1e9)
            self._broadcaster.sendTransform(to_transform_stamped(drift, fix.map_frame, parameters.odom_frame, ahead_ns))
