"""The messages in which odometry says how noisy it is."""

from contextlib import ExitStack

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile, ReliabilityPolicy

from vloc_ros.errors import ConfigError
from vloc_ros.ros.conversions import from_pose, to_stamp_ns
from vloc_ros.ros.node import VlocNode
from vloc_ros.ros.parameters import MAP_TO_ODOM, RelocalizerParameters
from vloc_ros.tracking.odometry_covariance import OdometryCovariances, OdometryReading

QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)  # hears all publishers
WARN_AGAIN_S = 10.0


class OdometryInput:
    """Takes them for the time of `scope`, where there is a topic of them and odometry is used."""

    def __init__(
        self, node: VlocNode[RelocalizerParameters], scope: ExitStack, covariances: OdometryCovariances
    ) -> None:
        self._node, self._covariances = node, covariances
        topic = node.parameters.odometry_topic
        if topic and node.parameters.tf_mode == MAP_TO_ODOM:
            scope.callback(node.destroy_subscription, node.create_subscription(Odometry, topic, self._take, QOS))

    def _take(self, message: Odometry) -> None:
        parameters, log = self._node.parameters, self._node.get_logger()
        frames = message.header.frame_id.lstrip("/"), message.child_frame_id.lstrip("/")
        if frames != (parameters.odom_frame, parameters.base_frame):
            wanted = f"{parameters.odom_frame!r} to {parameters.base_frame!r}"
            said = f"{parameters.odometry_topic} is of {frames[0]!r} to {frames[1]!r}, must be of {wanted}"
            log.warning(f"{said}: its covariances are not used", throttle_duration_sec=WARN_AGAIN_S)
            return
        try:
            odom_from_base = from_pose(message.pose.pose)
        except ConfigError as error:
            log.warning(f"{parameters.odometry_topic}: {error}", throttle_duration_sec=WARN_AGAIN_S)
            return
        pose, twist = (np.asarray(each.covariance).reshape(6, 6) for each in (message.pose, message.twist))
        reading = OdometryReading(to_stamp_ns(message.header.stamp), odom_from_base, pose, twist)
        if verdict := self._covariances.add(reading):
            log.info(f"noise of the odometry: {verdict}")
