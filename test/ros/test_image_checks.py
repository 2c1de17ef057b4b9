"""Images that are followed and published at once, and checked by the networks meanwhile: what a check finds, and what
happens during one."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.image_bench import ALONE, NOW_NS, Bench, reason_of

from vloc_ros.core.types import Rejection, RejectionReason
from vloc_ros.errors import ModelError
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.tracking.state import State
from vloc_ros.tracking.track import Fix, Hint


@pytest.fixture
def following() -> Bench:
    """About to follow the next image, and to check it."""
    made = Bench()
    made.parameters = replace(ALONE, global_every=3)
    assert [made.run().search for _ in range(3)] == ["global", "prior", "flow"]
    return made


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
