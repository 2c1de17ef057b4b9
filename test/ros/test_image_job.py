"""What happens while an image is worked on: another map, the end of the node, a restart, parameters, a lost network.

The network waits until the test lets it go on, so that each order of events is made, not waited for.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.robot import camera_info, raw_image

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.manifest import Manifest, places_apart
from vloc_ros.core.query import Query
from vloc_ros.core.synchronizer import Moment
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.errors import ModelError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.ros.faults import Faults
from vloc_ros.ros.image_job import ImageJob
from vloc_ros.ros.map_slot import MapSlot
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.state import State
from vloc_ros.tracking.status import ImageReport
from vloc_ros.tracking.track import Fix, Hint

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


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def following() -> Bench:
    """About to follow the next image, and to check it."""
    made = Bench()
    made.parameters = replace(ALONE, global_every=3)
    assert [made.run().search for _ in range(3)] == ["global", "prior", "flow"]
    return made


def reason_of(report: ImageReport) -> RejectionReason | None:
    return report.refusal.reason if report.refusal else None


def test_an_image_becomes_a_fix(bench: Bench) -> None:
    report = bench.run()
    assert report.cpu_ms is not None
    assert report.cpu_ms > 0
    assert report.refusal is None
    assert report.figures is not None
    ((fix, parameters),) = bench.published
    assert (fix.map_frame, fix.stamp_ns, parameters) == ("hall", report.stamp_ns, bench.parameters)
    assert bench.tracker.fix is fix
    assert bench.viewed == ["hall"]


def test_another_place_is_believed_on_evidence_only(bench: Bench) -> None:
    """A lift: the same coordinates on another floor."""
    floors = Manifest(
        "vsnet", "hall", "2025-06-01T12:00:00Z", (64, 48), {}, places=places_apart(("ground", "first"), "hall")
    )
    bench.hall.landmark_map.manifest = floors
    for place in ("ground", "first", "first", "first"):
        bench.hall.place = place
        bench.run()
    assert [reason_of(report) for report in bench.reports] == [None, *2 * [RejectionReason.JUMP], None]
    assert str(bench.reports[1].refusal) == "jump: jump from place 'ground' to 'first'; 1 of 3 fixes agree on that"
    assert [fix.place and fix.place.name for fix, _ in bench.published] == ["ground", "first"]
    assert [fix.map_frame for fix, _ in bench.published] == ["hall_ground", "hall_first"]


def test_a_lens_of_another_kind_than_the_maps_is_logged_once(bench: Bench) -> None:
    manifest = bench.hall.landmark_map.manifest
    bench.hall.landmark_map.manifest = replace(manifest, training={"lens_models": ["fisheye"]})
    for _ in range(3):
        bench.run()
    (line,) = bench.log
    assert "the camera has a pinhole lens, the cameras that the map was made with a fisheye lens" in line


def test_a_map_that_comes_during_an_image_makes_it_outdated(bench: Bench) -> None:
    bench.run()
    report = bench.during(bench.hall, lambda: bench.use("attic"))
    assert reason_of(report) is RejectionReason.OUTDATED
    assert len(bench.published) == 1, "no pose in the map before is published"
    assert bench.tracker.fix is None, "and none begins the track in the new one"
    assert bench.viewed[-1] == "hall", "what the image showed is drawn with the map that it was localized in"
    assert bench.run().refusal is None
    assert bench.published[-1][0].map_frame == "attic"


def test_a_map_that_comes_as_an_image_begins_never_mixes_two_maps(bench: Bench) -> None:
    begin = bench.tracker.begin

    def begin_late(stamp_ns: int) -> Any:
        bench.use("attic")
        return begin(stamp_ns)

    bench.tracker.begin = begin_late  # type: ignore[method-assign]
    assert bench.run().refusal is None
    assert bench.published[-1][0].map_frame == bench.slot.map_id == "attic"


def test_a_node_that_is_cleaned_up_during_an_image_publishes_nothing_of_it(bench: Bench) -> None:
    def clean_up() -> None:
        bench.slot.close()
        bench.tracker.restart()

    report = bench.during(bench.hall, clean_up)
    assert reason_of(report) is RejectionReason.OUTDATED
    assert not bench.published
    assert reason_of(bench.run()) is RejectionReason.NO_MAP


def test_a_restart_during_an_image_makes_it_outdated(bench: Bench) -> None:
    bench.run()
    report = bench.during(bench.hall, bench.tracker.restart)
    assert reason_of(report) is RejectionReason.OUTDATED
    assert bench.tracker.fix is None
    bench.hall.x = 50.0
    assert bench.run().refusal is None, "the next fix is believed at once"


def test_a_hint_during_an_image_holds_for_the_next_one(bench: Bench) -> None:
    bench.run()
    there = from_quaternion((0, 0, 0, 1), (50.0, 0, 0))
    report = bench.during(bench.hall, lambda: bench.tracker.expect(Hint(Fix(0, there, None, "hall"), 0.5, 10.0)))
    assert reason_of(report) is RejectionReason.OUTDATED
    bench.hall.x = 50.0
    assert bench.run().refusal is None


def test_an_image_goes_on_with_the_parameters_that_it_began_with(bench: Bench) -> None:
    other = replace(ALONE, tf_mode="map_to_camera", max_jump_m=0.01, max_speed_mps=0.0)
    bench.run()
    bench.hall.x = 0.1

    def change() -> None:
        bench.parameters = other

    report = bench.during(bench.hall, change)
    assert report.refusal is None
    assert bench.published[-1][1] is ALONE
    assert bench.run().refusal is None, "nothing has moved"
    assert bench.published[-1][1] is other, "the next image takes the new ones"
    bench.hall.x = 0.2
    assert reason_of(bench.run()) is RejectionReason.JUMP


def test_a_network_that_fails_is_let_go_of(bench: Bench) -> None:
    bench.hall.error = ModelError("the GPU is lost")
    assert reason_of(bench.run()) is RejectionReason.NETWORK_FAILED
    assert bench.slot.failure == "network_failed: the GPU is lost"
    assert bench.log == ["network_failed: the GPU is lost"]
    assert reason_of(bench.run()) is RejectionReason.NETWORK_FAILED, "there is nothing to localize with any more"


def test_a_network_that_fails_after_another_map_has_come_fails_alone(bench: Bench) -> None:
    def swap() -> None:
        bench.use("attic")
        bench.hall.error = ModelError("the GPU is lost")

    assert reason_of(bench.during(bench.hall, swap)) is RejectionReason.NETWORK_FAILED
    assert (bench.slot.map_id, bench.slot.failure) == ("attic", "")
    assert bench.run().refusal is None


def test_images_that_go_back_in_time_restart_the_track(bench: Bench) -> None:
    bench.run(NOW_NS)
    bench.hall.x = 50.0
    assert bench.run(NOW_NS - 10 * NS_PER_S).refusal is None
    assert bench.restarts == ["images went back in time by 10.0 s"]


def test_what_localize_says_is_the_reason(bench: Bench) -> None:
    bench.hall.rejection = Rejection(RejectionReason.NO_POSE, "no pose", timings_ms={"total": 3.0})
    report = bench.run()
    assert (reason_of(report), report.localize_ms) == (RejectionReason.NO_POSE, 3.0)
    assert bench.viewed == ["hall"]
    assert [bench.run() and len(bench.log) for _ in range(3)] == [1, 1, 1], "the same is warned of once in a while"


def test_a_defect_is_a_report_too(bench: Bench) -> None:
    bench.hall.error = RuntimeError("nobody thought of that")
    report = bench.run()
    assert str(report.refusal) == "internal_error: image: RuntimeError: nobody thought of that"
    bench.hall.error = None
    assert bench.run().refusal is None


def test_without_camera_info_or_with_an_odd_stamp(bench: Bench) -> None:
    assert reason_of(bench.job.run(Moment.of("", NOW_NS, raw_image(RGB, NOW_NS)))) is RejectionReason.NO_CAMERA_INFO
    for stamp_ns in (0, -5 * NS_PER_S, NOW_NS + 10 * NS_PER_S):
        assert reason_of(bench.run(stamp_ns)) is RejectionReason.BAD_STAMP
    sepia = Moment.of("", NOW_NS, raw_image(RGB, NOW_NS, encoding="sepia7"))
    assert reason_of(bench.job.run(sepia)) is RejectionReason.BAD_INPUT


def test_a_followed_image_is_published_once_and_checked_meanwhile(following: Bench) -> None:
    bench = following
    bench.job.settle()
    assert bench.job.last_check == "", "it was not its turn"
    bench.hall.x, asked = 0.02, len(bench.hall.asked)
    bench.hall.go_on.clear()
    report = bench.run()
    assert (report.search, report.refusal) == ("checked", None)
    assert bench.run().search == "flow", "the next image does not wait for the networks"
    assert [fix.map_from_base[0, 3] for fix, _ in bench.published] == [0.0] * 5
    bench.hall.go_on.set()
    bench.job.settle()
    assert bench.job.last_check == "agrees"
    assert sorted(query.prior is None for query in bench.hall.asked[asked:]) == [False, False, True]
    assert bench.tracker.fix is not None
    assert bench.tracker.fix.stamp_ns == bench.reports[-1].stamp_ns, "the newest image's"
    assert bench.run().search == "flow"
    assert bench.published[-1][0].map_from_base[0, 3] == 0.02, "from what the networks have seen"
    stamps = [fix.stamp_ns for fix, _ in bench.published]
    assert stamps == [each.stamp_ns for each in bench.reports], "each image once"


def test_while_the_networks_check_nothing_else_is_checked(following: Bench) -> None:
    bench = following
    bench.hall.go_on.clear()
    searched = [bench.run().search for _ in range(5)]
    bench.hall.go_on.set()
    assert searched == ["checked"] + ["flow"] * 4
    bench.job.settle()
    assert bench.run().search == "checked", "it was its turn all the time"


def test_a_check_that_contradicts_the_track_puts_it_in_doubt(following: Bench) -> None:
    bench = following
    bench.hall.x = 50.0
    assert bench.run().search == "checked"
    bench.job.settle()
    assert bench.job.last_check.startswith("jump: jump of 50.00 m")
    reports = [bench.run() for _ in range(2)]
    assert [report.search for report in reports] == ["global"] * 2
    assert [reason_of(report) for report in reports] == [RejectionReason.JUMP, None]
    assert [fix.map_from_base[0, 3] for fix, _ in bench.published] == [0.0] * 4 + [50.0]


def test_after_a_check_that_sees_nothing_the_networks_see_the_next_image(following: Bench) -> None:
    bench = following
    bench.hall.rejection = Rejection(RejectionReason.NO_POSE, "no pose", timings_ms={"total": 3.0})
    assert bench.run().refusal is None
    bench.job.settle()
    assert bench.job.last_check == "no_pose: no pose"
    bench.hall.rejection = None
    assert bench.run().search == "prior"
    assert bench.run().search == "flow"


REPLACED: dict[str, Callable[[Bench], object]] = {
    "another map": lambda bench: bench.use("attic"),
    "a hint": lambda bench: bench.tracker.expect(
        Hint(Fix(0, from_quaternion((0, 0, 0, 1), (50.0, 0, 0)), None, "hall"), 0.5, 10.0)
    ),
    "a restart": lambda bench: bench.tracker.restart(),
}


@pytest.mark.parametrize("what", REPLACED)
def test_who_replaces_the_track_during_a_check_makes_it_outdated(following: Bench, what: str) -> None:
    bench = following
    bench.hall.go_on.clear()
    assert bench.run().search == "checked"
    REPLACED[what](bench)
    bench.job._base = None  # type: ignore[assignment, method-assign]  # a restart forgets the image's transforms, too
    bench.hall.go_on.set()
    placements = bench.tracker.placements
    bench.job.settle()
    assert bench.job.last_check.startswith("outdated: ")
    assert bench.tracker.placements == placements
    assert len(bench.published) == 4


def test_a_network_that_fails_in_a_check_is_let_go_of(following: Bench) -> None:
    bench = following
    bench.hall.error = ModelError("the GPU is lost")
    assert bench.run().search == "checked"
    bench.job.settle()
    assert bench.job.last_check == bench.slot.failure == "network_failed: the GPU is lost"
    assert str(bench.run().refusal) == bench.slot.failure


def test_in_simulated_time_a_check_is_waited_for(following: Bench) -> None:
    bench = following
    bench.is_simulated, bench.hall.x = True, 0.02
    assert bench.run().search == "checked"
    assert bench.job.last_check == "agrees"
    assert bench.tracker.fix is not None
    assert bench.tracker.fix.map_from_base[0, 3] == 0.02


def test_an_image_that_a_node_is_closed_during_is_not_checked(following: Bench) -> None:
    bench = following
    bench.job.close()
    report = bench.run()
    assert (report.search, report.refusal) == ("flow", None)
    assert bench.faults.count == 0


def test_a_check_that_comes_late_makes_nobody_less_lost(following: Bench) -> None:
    """Images stopped while the networks looked at the last one."""
    bench = following
    bench.hall.go_on.clear()
    assert bench.run().search == "checked"
    bench.hall.go_on.set()
    later_ns, options = NOW_NS + 60 * NS_PER_S, bench.parameters.tracking
    bench.now_ns = lambda: later_ns  # type: ignore[method-assign]
    bench.job.settle()
    assert bench.job.last_check == "agrees"
    assert bench.tracker.state(True, later_ns, options) is State.LOST
