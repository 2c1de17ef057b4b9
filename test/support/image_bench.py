"""An image job of the relocalizer with all around it but for ROS; its network waits until a test lets it go on."""

import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from support.robot import camera_info, raw_image
from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.query import Query
from vloc_ros.core.synchronizer import Moment
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.ros.faults import Faults
from vloc_ros.ros.image_job import ImageJob
from vloc_ros.ros.map_slot import MapSlot
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.status import ImageReport
from vloc_ros.tracking.track import Fix

WAIT_S = 30.0
NOW_NS = 1_700_000_000 * NS_PER_S
CAMERA = Camera(64, 48, 50.0, 50.0, 32.0, 24.0)
RGB = np.zeros((48, 64, 3), np.uint8)
ALONE = RelocalizerParameters(tf_mode="none", base_frame="", global_every=1)  # no TF is needed
SEEN = Correspondences(np.zeros((4, 2)), np.zeros((4, 3)), np.ones(4), np.arange(4, dtype=np.int32))


class Network:
    """A localizer of a map whose frame is the map's name; `held`, it waits in the middle of an image."""

    def __init__(self, map_id: str) -> None:
        self.map_id = map_id
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        self.asked: list[Query] = []
        self.error: Exception | None = None
        self.rejection: Rejection | None = None
        self.x = 0.0
        self.place: str | None = None
        manifest = Manifest("vsnet", map_id, "2025-06-01T12:00:00Z", (64, 48), {})
        self.landmark_map = SimpleNamespace(manifest=manifest)

    def warm_up(self) -> None:
        """Nothing to do."""

    def gated(self, **thresholds: Any) -> "Network":
        return self

    def localize(self, query: Query) -> PoseEstimate | Rejection:
        """Follows what there is to follow, without the network."""
        self.asked.append(query)
        if query.prior and query.prior.keyframe:
            return replace(query.prior.keyframe.estimate, is_followed=True)
        self.begun.set()
        assert self.go_on.wait(WAIT_S)
        if self.error:
            raise self.error
        if self.rejection:
            return self.rejection
        pose = from_quaternion((0, 0, 0, 1), (self.x, 0, 0))
        return PoseEstimate(pose, 1e-4 * np.eye(6), SEEN, np.ones(4, bool), 0.5, 0.9, {"total": 1.0}, place=self.place)


class Bench:
    """An image job with all around it, but for ROS."""

    def __init__(self) -> None:
        self.parameters, self.log = ALONE, list[str]()
        self.published: list[tuple[Fix, RelocalizerParameters]] = []
        self.viewed: list[str] = []
        self.restarts: list[str] = []
        self.hall, self.attic = Network("hall"), Network("attic")
        networks = {"hall": self.hall, "attic": self.attic}
        self.tracker = PoseTracker()
        self.slot = MapSlot(lambda stored, where: networks[stored.map_id], lambda *_: self.tracker.leave_map())  # type: ignore[arg-type, return-value]
        self.faults = Faults(lambda line, origin: self.log.append(line), lambda line: None)
        node: Any = self  # what the job needs of one is below
        drift = SimpleNamespace(send=lambda: None)
        outputs: Any = SimpleNamespace(publish_fix=self.publish, publish_views=self.view, drift=drift)
        buffer: Any = None
        odometry: Any = SimpleNamespace(update=lambda: None)
        self.job = ImageJob(node, self.slot, self.tracker, buffer, odometry, outputs, self.restart)
        self.stamps = iter(range(NOW_NS - 100, NOW_NS))
        self.reports: list[ImageReport] = []
        self.use("hall")

    def get_logger(self) -> Any:
        return SimpleNamespace(warning=self.log.append, error=self.log.append)

    is_simulated = False

    def now_ns(self) -> int:
        return NOW_NS

    def publish(self, base: Any, camera_frame: str, parameters: Any, is_news: bool) -> None:
        self.published.append((base.fix, parameters))

    def view(self, image: Any, result: Any, landmark_map: Any) -> None:
        self.viewed.append(landmark_map.manifest.frame_id)

    def restart(self, reason: str) -> None:
        self.tracker.restart()
        self.restarts.append(reason)

    def use(self, map_id: str) -> None:
        self.slot.open(SimpleNamespace(map_id=map_id), "test")  # type: ignore[arg-type]

    def run(self, stamp_ns: int | None = None) -> ImageReport:
        stamp_ns = next(self.stamps) if stamp_ns is None else stamp_ns
        self.job.add_camera_info("", camera_info(CAMERA, stamp_ns))
        self.reports.append(self.job.run(Moment.of("", stamp_ns, raw_image(RGB, stamp_ns))))
        return self.reports[-1]

    def during(self, network: Network, happens: Callable[[], object]) -> ImageReport:
        """The report of an image in the middle of which something happens."""
        network.begun.clear()
        network.go_on.clear()
        thread = threading.Thread(target=self.run)
        thread.start()
        assert network.begun.wait(WAIT_S)
        happens()
        network.go_on.set()
        thread.join(WAIT_S)
        assert not thread.is_alive()
        return self.reports[-1]


def reason_of(report: ImageReport) -> RejectionReason | None:
    return report.refusal.reason if report.refusal else None
