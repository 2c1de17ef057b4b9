"""What the relocalizer says of itself: ~/status after every image, and that and the diagnostics once a second."""

import math
import time
from collections.abc import Callable
from contextlib import ExitStack

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from vloc_ros.core.types import worst_sigma
from vloc_ros.ros.camera_statistics import CameraStatistics
from vloc_ros.ros.conversions import header
from vloc_ros.ros.diagnostics import Statistics, diagnostic, to_message
from vloc_ros.ros.map_slot import MapSlot
from vloc_ros.ros.node import LATCHED, VlocNode
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.state import State
from vloc_ros.tracking.status import ImageReport, Status


class StatusReports:
    """Publishes for the time of `scope`. The thread with the images adds reports, the executor repeats the last one."""

    def __init__(
        self,
        node: VlocNode[RelocalizerParameters],
        scope: ExitStack,
        slot: MapSlot,
        tracker: PoseTracker,
        dropped: Callable[[], int],
    ) -> None:
        """`dropped`: images that newer ones have replaced."""
        self._node, self._slot, self._tracker, self._dropped = node, slot, tracker, dropped
        self._statistics = Statistics()
        self.cameras = CameraStatistics(node.parameters.cameras)
        self._cpu_at = time.monotonic(), time.process_time()
        self._image: ImageReport | None = None  # of the last one
        self._check = ""  # what the last one said
        # No lifecycle publisher: an inactive node has a status, too.
        self._publisher = node.create_publisher(DiagnosticStatus, "~/status", LATCHED)
        scope.callback(node.destroy_publisher, self._publisher)

    def state(self) -> State:
        """What may be believed now."""
        if self._slot.failure:
            return State.LOST
        has_map = self._slot.localizer is not None
        return self._tracker.state(has_map, self._node.now_ns(), self._node.parameters.tracking)

    def status(self) -> Status:
        """What there is to say now. The map's frame is that of the last fix: in a map of several places, that of its
        place; before any fix, the map's own."""
        localizer, fix = self._slot.localizer, self._tracker.fix
        own_frame = localizer.landmark_map.manifest.frame_id if localizer else ""
        believed = self._tracker.believed()
        covariance = believed.estimate.covariance if believed and believed.estimate else None
        return Status(
            sigma_m=None if covariance is None else worst_sigma(covariance[:3, :3]),
            sigma_deg=None if covariance is None else math.degrees(worst_sigma(covariance[3:, 3:])),
            state=self.state(),
            map_id=localizer.map_id if localizer else "",
            map_frame=fix.map_frame if localizer and fix else own_frame,
            image=self._image,
            check=self._check,
            dropped=self._dropped(),
            place=fix.place.name if localizer and fix and fix.place else "",
        )

    def add(self, image: ImageReport, last_check: str) -> None:
        """Count an image that was just worked on, and say what became of it; `last_check` as in `Status`."""
        self._image, self._check = image, last_check
        self._statistics.add(self._node.now_ns(), image)
        self.cameras.add(image.cameras)
        self.publish()

    def publish(self) -> None:
        """On ~/status."""
        self._publisher.publish(to_message(self.status(), self._node.get_fully_qualified_name()))

    def _cpu_percent(self) -> float:
        """Processor time of this process since the last call, of one core's."""
        now = time.monotonic(), time.process_time()
        elapsed_s, used_s = (new - old for new, old in zip(now, self._cpu_at, strict=True))
        self._cpu_at = now
        return 100 * used_s / max(elapsed_s, 1e-3)

    def publish_all(self) -> None:
        """The diagnostics, and the status again: the robot may have become lost without an image."""
        self.publish()
        status, localizer, now_ns = self.status(), self._slot.localizer, self._node.now_ns()
        values = {
            "state": status.state.value,
            "map_id": status.map_id,
            "map_frame": status.map_frame,
            "place": status.place,
            "sigma_m": "" if status.sigma_m is None else f"{status.sigma_m:.4f}",
            "cpu_percent": f"{self._cpu_percent():.0f}",
            **self._statistics.values(now_ns),
            "dropped": status.dropped,
            "backend": localizer.backend if localizer else "",
            "faults": self._node.faults.count,
            "last_fault": self._node.faults.last,
        }
        name = self._node.get_fully_qualified_name()
        told = [diagnostic(name, status.state, status.state.value, values), *self.cameras.diagnostics(name, now_ns)]
        self._node.diagnostics.publish(DiagnosticArray(header=header(now_ns, ""), status=told))
