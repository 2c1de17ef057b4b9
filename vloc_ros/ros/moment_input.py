"""The images of the robot's cameras as moments: those of one camera one by one, those of several together."""

import time
from collections.abc import Callable
from contextlib import ExitStack

from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import CameraInfo

from vloc_ros.core.synchronizer import Moment, Synchronizer
from vloc_ros.ros.camera_input import CameraInput
from vloc_ros.ros.camera_statistics import CameraStatistics
from vloc_ros.ros.conversions import to_stamp_ns
from vloc_ros.ros.image_stamps import refuse_stamp
from vloc_ros.ros.node import VlocNode
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.ros.rig_images import ImageMessage
from vloc_ros.tracking.status import RefusedError

LEAST_POLL_S = 0.005


class MomentInput:
    """Gives `take` a moment as soon as it is complete, or has waited long enough, for the time of `scope`.

    All of it happens in the executor. The timer runs only while a moment waits. An image of a rig whose stamp cannot be
    is left out here: it would take the others' moments out of their order. That of a camera alone is given on, for
    whoever localizes it to say why not.
    """

    def __init__(
        self,
        node: VlocNode[RelocalizerParameters],
        scope: ExitStack,
        statistics: CameraStatistics,
        take: Callable[[Moment[ImageMessage]], None],
        take_info: Callable[[str, CameraInfo], None],
    ) -> None:
        self._node, self._statistics, self._take = node, statistics, take
        cameras, options = node.parameters.cameras, node.parameters.synchronization
        self._synchronizer: Synchronizer[ImageMessage] = Synchronizer(cameras, options)
        period_s = max(LEAST_POLL_S, options.wait_s / 4)
        self._timer = node.create_timer(period_s, self._poll, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._timer.cancel()
        scope.callback(node.destroy_timer, self._timer)
        CameraInput(node, scope, self._on_image if cameras else self._on_only_image, take_info)

    def _on_only_image(self, camera: str, message: ImageMessage) -> None:
        self._take(Moment.of(camera, to_stamp_ns(message.header.stamp), message))

    def _on_image(self, camera: str, message: ImageMessage) -> None:
        stamp_ns, now_ns = to_stamp_ns(message.header.stamp), self._node.now_ns()
        try:
            refuse_stamp(stamp_ns, now_ns)
        except RefusedError as refused:
            self._statistics.refused(camera, str(refused))
            return
        self._statistics.came(camera, now_ns)
        for moment in self._synchronizer.add(camera, stamp_ns, message, time.monotonic_ns()):
            self._take(moment)
        self._statistics.set_late(self._synchronizer.late)
        if self._synchronizer.is_waiting and self._timer.is_canceled():
            self._timer.reset()

    def _poll(self) -> None:
        for moment in self._synchronizer.poll(time.monotonic_ns()):
            self._take(moment)
        if not self._synchronizer.is_waiting:
            self._timer.cancel()
