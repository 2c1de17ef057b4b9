"""What the tracker is told of the odometry in TF."""

from dataclasses import replace

from tf2_ros import Buffer

from vloc_ros.geometry.transforms import planar
from vloc_ros.ros.node import VlocNode
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.ros.tf_frames import Odometry, newest_odometry, odometry_at
from vloc_ros.tracking.pose_tracker import PoseTracker


class OdometryFeed:
    """Tells the tracker where odometry has moved the robot, at the stamps that the tracker asks for and not at those
    when somebody calls: the same bag gives the same track, however fast it is played. Any thread may call."""

    def __init__(self, node: VlocNode[RelocalizerParameters], tracker: PoseTracker, buffer: Buffer) -> None:
        self._node, self._tracker, self._buffer = node, tracker, buffer

    def update(self) -> Odometry | None:
        """Tell all that is new, and return the newest; None where odometry is not used, or not there."""
        parameters = self._node.parameters
        newest = newest_odometry(self._buffer, parameters)
        if newest is None:
            return None
        for stamp_ns in self._tracker.due(newest.stamp_ns):
            found = odometry_at(self._buffer, stamp_ns, parameters)
            if found is not None:
                self._tracker.move(stamp_ns, _placed(found, parameters).odom_from_base, parameters.tracking)
        return _placed(newest, parameters)


def _placed(odometry: Odometry, parameters: RelocalizerParameters) -> Odometry:
    """In two_d_mode on the floor, as fixes are."""
    return replace(odometry, odom_from_base=planar(odometry.odom_from_base)) if parameters.two_d_mode else odometry
