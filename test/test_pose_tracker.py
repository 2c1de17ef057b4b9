"""The track that several threads change: whoever replaces it makes the image that is worked on meanwhile outdated."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vloc_ros.core.types import RejectionReason
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.state import State
from vloc_ros.tracking.status import RefusedError
from vloc_ros.tracking.track import Fix, Hint, Track, TrackingOptions

OPTIONS = TrackingOptions(max_jump_m=0.5, max_jump_deg=15, agreeing_fixes=3, lost_after_s=2.0)


def fix_at(x: float, second: int = 0) -> Fix:
    return Fix(second * NS_PER_S, from_quaternion([0, 0, 0, 1], [x, 0, 0]), np.eye(4))


def followed(tracker: PoseTracker, x: float, second: int = 0) -> bool:
    return tracker.follow(tracker.begin(second * NS_PER_S), fix_at(x, second), second * NS_PER_S, OPTIONS)


def test_the_first_fix_and_accepted_jumps_place_the_robot_anew() -> None:
    tracker = PoseTracker()
    assert followed(tracker, 0)
    assert not followed(tracker, 0.1)
    for _ in range(2):
        with pytest.raises(RefusedError, match=r"^jump: jump of 8.90 m, 0 deg .*; \d of 3 fixes agree on that$"):
            followed(tracker, 9)
    assert tracker.fix is not None
    assert tracker.fix.map_from_base[0, 3] == 0.1, "a contradiction is no fix"
    assert followed(tracker, 9)
    assert tracker.fix.map_from_base[0, 3] == 9


REPLACEMENTS: dict[str, Callable[[PoseTracker], object]] = {
    "another map": PoseTracker.leave_map,
    "a restart": PoseTracker.restart,
    "a hint": lambda tracker: tracker.expect(Hint(fix_at(9), 0.5, 10.0)),
    "another image": lambda tracker: followed(tracker, 0),
}


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_an_image_is_outdated_whose_track_was_replaced_meanwhile(replacement: str) -> None:
    tracker = PoseTracker()
    followed(tracker, 0)
    before = tracker.begin(NS_PER_S)
    REPLACEMENTS[replacement](tracker)
    now = tracker.fix
    with pytest.raises(RefusedError) as refused:
        tracker.follow(before, fix_at(0.1), NS_PER_S, OPTIONS)
    assert refused.value.refusal.reason is RejectionReason.OUTDATED
    assert tracker.fix is now, "what was refused changes nothing"


def test_an_outdated_jump_is_outdated_and_does_not_count() -> None:
    tracker = PoseTracker()
    followed(tracker, 0)
    before = tracker.begin(NS_PER_S)
    tracker.restart()
    with pytest.raises(RefusedError, match=r"^outdated: "):
        tracker.follow(before, fix_at(9), NS_PER_S, OPTIONS)
    assert followed(tracker, 9), "the first fix of the new track"


def test_a_fix_near_a_hint_is_believed_at_once() -> None:
    tracker = PoseTracker()
    followed(tracker, 0)
    tracker.expect(Hint(fix_at(9), 0.5, 10.0))
    assert followed(tracker, 9)


@pytest.mark.parametrize("forget", [PoseTracker.leave_map, PoseTracker.restart])
def test_what_is_forgotten(forget: Callable[[PoseTracker], None]) -> None:
    tracker = PoseTracker()
    followed(tracker, 0, second=100)
    assert tracker.nanoseconds_back(90 * NS_PER_S) == 10 * NS_PER_S
    forget(tracker)
    assert tracker.fix is None
    assert tracker.state(True, 100 * NS_PER_S, OPTIONS) is State.LOCALIZING
    knows_time = tracker.nanoseconds_back(90 * NS_PER_S) > 0
    assert knows_time == (forget is PoseTracker.leave_map), "another map does not turn time back"


@pytest.mark.parametrize("forget", [PoseTracker.leave_map, PoseTracker.restart])
def test_the_first_fix_of_a_new_track_places_the_robot_anew(forget: Callable[[PoseTracker], None]) -> None:
    """Who broadcasts tells by the number alone, for nobody may have asked between the two tracks."""
    tracker = PoseTracker()
    followed(tracker, 0)
    before = tracker.placements
    forget(tracker)
    assert followed(tracker, 9)
    assert tracker.placements > before


def test_states() -> None:
    tracker = PoseTracker()

    def state_at(second: float, has_map: bool = True) -> State:
        return tracker.state(has_map, int(second * NS_PER_S), OPTIONS)

    assert [state_at(0, has_map) for has_map in (False, True)] == [State.UNINITIALIZED, State.LOCALIZING]
    followed(tracker, 0, second=10)
    assert [state_at(second) for second in (10, 11.9, 12.1)] == [State.LOCALIZED, State.LOCALIZED, State.LOST]
    with pytest.raises(RefusedError):
        followed(tracker, 9, second=13)
    assert state_at(13) is State.LOST, "a jump is no fix"
    followed(tracker, 0, second=14)
    assert state_at(14) is State.LOCALIZED


def test_an_image_begins_with_the_track_as_it_is() -> None:
    tracker = PoseTracker()
    assert tracker.begin(5) == tracker.begin(6)
    assert isinstance(tracker.begin(7), Track)
    assert tracker.nanoseconds_back(7 - NS_PER_S) == NS_PER_S


def test_a_check_goes_on_with_the_track_or_contradicts_it_but_never_places_the_robot_anew() -> None:
    at_once = replace(OPTIONS, agreeing_fixes=1, map_switch=1)

    def tracked() -> tuple[PoseTracker, Track]:
        """The second of four images is to be checked."""
        tracker = PoseTracker()
        for x, second in ((0.0, 0), (0.1, 1)):
            followed(tracker, x, second)
        before = tracker.track
        for x, second in ((0.2, 2), (0.3, 3)):
            followed(tracker, x, second)
        return tracker, before

    tracker, before = tracked()
    newest = tracker.fix
    tracker.check(before, fix_at(0.12, 1), at_once)
    assert tracker.fix is newest
    with pytest.raises(RefusedError, match=r"^jump: jump of \d.\d\d m"):
        tracker.check(before, fix_at(9, 1), at_once)
    assert tracker.placements == 1
    assert tracker.is_contradicted
    for name in ("another map", "a restart", "a hint"):
        tracker, before = tracked()
        REPLACEMENTS[name](tracker)
        with pytest.raises(RefusedError, match=r"^outdated: "):
            tracker.check(before, fix_at(0.1, 1), at_once)
    tracker, before = tracked()
    with pytest.raises(RefusedError, match=r"^jump: "):
        followed(tracker, 9, 4)
    with pytest.raises(RefusedError, match=r"^outdated: "):
        tracker.check(before, fix_at(0.1, 1), at_once)
    assert tracker.is_contradicted, "by what later images show"


def test_a_second_fix_of_an_image_takes_the_place_of_the_first() -> None:
    """One image is one measurement, whoever localized it: seen twice it makes nobody surer."""

    def seen(tracker: PoseTracker, second: int, *xs: float) -> None:
        for x in xs:
            fix = replace(fix_at(x, second), covariance=1e-4 * np.eye(6))
            tracker.follow(tracker.begin(fix.stamp_ns), fix, fix.stamp_ns, OPTIONS)

    once, twice = PoseTracker(), PoseTracker()
    for tracker, images in ((once, ((1, 0.0), (2, 0.02), (3, 0.01))), (twice, ((1, 0.0), (2, -0.01, 0.02), (3, 0.01)))):
        for second, *xs in images:
            seen(tracker, int(second), *xs)
    seen(twice, 2, 0.02)
    for stamp_ns in (2 * NS_PER_S, 4 * NS_PER_S):
        expected, found = (each.estimate(stamp_ns, np.eye(4), OPTIONS) for each in (once, twice))
        assert expected is not None
        assert found is not None
        np.testing.assert_allclose(found.map_from_base, expected.map_from_base, atol=1e-12)
        np.testing.assert_allclose(found.whole_covariance, expected.whole_covariance, atol=1e-12)


def test_who_begins_to_move_has_moved_though_the_last_image_was_checked() -> None:
    tracker = PoseTracker()
    for second, x in ((0, 0.0), (1, 0.1)):
        moved = from_quaternion([0, 0, 0, 1], [x, 0, 0])
        fix = replace(fix_at(x, second), odom_from_base=moved, covariance=1e-4 * np.eye(6))
        tracker.follow(tracker.begin(fix.stamp_ns), fix, fix.stamp_ns, OPTIONS)
    assert tracker.has_moved(), "since the fix before the last one"
    tracker.check(tracker.track, replace(fix), OPTIONS)
    assert tracker.has_moved()
