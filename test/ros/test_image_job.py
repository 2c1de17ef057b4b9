"""What happens while an image is worked on: another map, the end of the node, a restart, parameters, a lost network.

The network waits until the test lets it go on, so that each order of events is made, not waited for.
"""

from dataclasses import replace
from typing import Any

import pytest
from support.image_bench import ALONE, NOW_NS, RGB, Bench, reason_of
from support.robot import raw_image

from vloc_ros.core.manifest import Manifest, places_apart
from vloc_ros.core.synchronizer import Moment
from vloc_ros.core.types import Rejection, RejectionReason
from vloc_ros.errors import MapError, ModelError
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.tracking.track import Fix, Hint


@pytest.fixture
def bench() -> Bench:
    return Bench()


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


def test_a_place_that_cannot_be_read_is_no_fault_of_the_image(bench: Bench) -> None:
    bench.hall.error = MapError("places/attic: there is no such map directory")
    assert str(bench.run().refusal) == "no_map: places/attic: there is no such map directory"


def test_without_camera_info_or_with_an_odd_stamp(bench: Bench) -> None:
    assert reason_of(bench.job.run(Moment.of("", NOW_NS, raw_image(RGB, NOW_NS)))) is RejectionReason.NO_CAMERA_INFO
    for stamp_ns in (0, -5 * NS_PER_S, NOW_NS + 10 * NS_PER_S):
        assert reason_of(bench.run(stamp_ns)) is RejectionReason.BAD_STAMP
    sepia = Moment.of("", NOW_NS, raw_image(RGB, NOW_NS, encoding="sepia7"))
    assert reason_of(bench.job.run(sepia)) is RejectionReason.BAD_INPUT
