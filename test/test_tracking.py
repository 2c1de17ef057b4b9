"""The track: what is a jump, what is not, and what follows from either."""

import numpy as np
import pytest

from vloc_ros.geometry.transforms import from_quaternion, planar
from vloc_ros.tracking.state import State, state_of
from vloc_ros.tracking.track import Fix, Hint, Track, TrackingOptions, follow

OPTIONS = TrackingOptions(max_jump_m=0.5, max_jump_deg=15, agreeing_fixes=3, lost_after_s=2.0)
SECOND = 1_000_000_000


def pose(x: float, y: float = 0.0, yaw_deg: float = 0.0) -> np.ndarray:
    half = np.radians(yaw_deg) / 2
    return from_quaternion([0, 0, np.sin(half), np.cos(half)], [x, y, 0])


def followed(*fixes: Fix, options: TrackingOptions = OPTIONS) -> tuple[Track, list[bool]]:
    track, accepted = Track(), []
    for fix in fixes:
        track, contradiction = follow(track, fix, options)
        accepted.append(not contradiction)
    return track, accepted


def test_the_first_fix_is_accepted_and_places_the_robot() -> None:
    track, accepted = followed(Fix(SECOND, pose(3)))
    assert accepted == [True]
    assert track.placements == 1


def test_motion_that_odometry_explains_is_no_jump_however_far() -> None:
    drift = pose(1, 2, 30)  # map <- odom
    fixes = [Fix(k * SECOND, drift @ pose(5.0 * k), pose(5.0 * k)) for k in range(5)]
    track, accepted = followed(*fixes)
    assert all(accepted)
    assert track.placements == 1
    assert track.fix is not None
    assert track.fix.map_from_odom is not None
    assert np.allclose(track.fix.map_from_odom, drift)


def anywhere(rng: np.random.Generator) -> np.ndarray:
    """Any place and heading, tilted by up to 80 deg."""
    heading, tilt = rng.uniform(-np.pi, np.pi), rng.uniform(0, np.radians(80)) / 2
    axis = rng.uniform(-np.pi, np.pi)
    turned = from_quaternion([0, 0, np.sin(heading / 2), np.cos(heading / 2)], rng.uniform(-30, 30, 3))
    tilted = from_quaternion([np.sin(tilt) * np.cos(axis), np.sin(tilt) * np.sin(axis), 0, np.cos(tilt)], [0, 0, 0])
    return turned @ tilted


def test_on_the_floor_odometry_of_any_tilt_leads_to_the_pose() -> None:
    rng = np.random.default_rng(7)
    for _ in range(500):
        odom_from_base = anywhere(rng)
        flat = Fix(0, anywhere(rng), odom_from_base).flattened()
        drift = flat.map_from_odom
        assert drift is not None
        np.testing.assert_allclose(drift, planar(drift), atol=1e-12)
        np.testing.assert_allclose(planar(drift @ odom_from_base), flat.map_from_base, atol=1e-9)


def test_on_the_floor_motion_on_a_ramp_is_no_jump() -> None:
    """Odometry that climbs, turns and is tilted against the map: on the floor it explains the fixes."""
    tilted = from_quaternion([0, np.sin(np.radians(4)), 0, np.cos(np.radians(4))], [-20, -10, -2.0])  # map <- odom
    fixes = []
    for k in range(20):
        map_from_base = pose(0.3 * k, 0.1 * k, 25.0 * k)
        fixes.append(Fix(k * SECOND, map_from_base, np.linalg.inv(tilted) @ map_from_base).flattened())
    assert all(followed(*fixes)[1])


@pytest.mark.parametrize(("moved", "accepted"), [(pose(0.4), True), (pose(0.6), False), (pose(0, 0, 20), False)])
def test_motion_that_odometry_does_not_explain_is_a_jump(moved: np.ndarray, accepted: bool) -> None:
    assert followed(Fix(0, pose(0), pose(0)), Fix(SECOND, moved, pose(0)))[1] == [True, accepted]


def test_a_single_wrong_fix_changes_nothing() -> None:
    right = [Fix(k * SECOND, pose(0.1 * k), pose(0.1 * k)) for k in range(4)]
    wrong = Fix(SECOND, pose(9), pose(0.1))
    track, accepted = followed(right[0], wrong, right[1], wrong, right[2], wrong, right[3])
    assert accepted == [True, False, True, False, True, False, True]
    assert track.placements == 1


def test_a_robot_that_was_carried_away_is_placed_anew_after_enough_agreeing_fixes() -> None:
    there = [Fix(k * SECOND, pose(9 + 0.1 * k), pose(0.1 * k)) for k in range(1, 5)]
    track, accepted = followed(Fix(0, pose(0), pose(0)), *there)
    assert accepted == [True, False, False, True, True]
    assert track.placements == 2


def test_fixes_that_contradict_each_other_never_place_the_robot() -> None:
    rng = np.random.default_rng(1)
    scattered = [Fix(k, pose(*rng.uniform(10, 500, 2)), pose(0)) for k in range(1, 60)]
    track, accepted = followed(Fix(0, pose(0), pose(0)), *scattered)
    assert accepted == [True] + [False] * 59
    assert track.placements == 1


def test_another_frame_is_a_jump_however_near_its_coordinates() -> None:
    hall = Fix(0, pose(0), pose(0), "map_hall")
    attic = [Fix(k * SECOND, pose(0.1 * k), pose(0.1 * k), "map_attic") for k in range(1, 5)]
    track, accepted = followed(hall, *attic)
    assert accepted == [True, False, False, True, True]
    assert track.placements == 2
    assert track.fix is attic[-1]
    words = "jump from frame 'map_hall' to 'map_attic'; 1 of 3 fixes agree on that"
    assert follow(followed(hall)[0], attic[0], OPTIONS)[1] == words


def test_fixes_in_turns_in_two_other_frames_never_agree() -> None:
    turns = [Fix(k * SECOND, pose(0), pose(0), f"map_{'bc'[k % 2]}") for k in range(1, 20)]
    track, accepted = followed(Fix(0, pose(0), pose(0), "map_a"), *turns)
    assert accepted == [True] + [False] * 19
    assert track.placements == 1


def hint_at(x: float, within_m: float = 0.5, within_deg: float = 10.0, map_frame: str = "") -> Hint:
    return Hint(Fix(SECOND, pose(x), pose(0), map_frame), within_m, within_deg)


@pytest.mark.parametrize(
    ("seen", "accepted"),
    [(pose(9.9), True), (pose(10.1), False), (pose(9, 0, 24), True), (pose(9, 0, 26), False), (pose(0), False)],
)
def test_after_a_hint_a_fix_near_it_is_accepted_at_once(seen: np.ndarray, accepted: bool) -> None:
    hinted = followed(Fix(0, pose(0), pose(0)))[0].hinted(hint_at(9))
    track, contradiction = follow(hinted, Fix(2 * SECOND, seen, pose(0)), OPTIONS)
    assert (not contradiction) == accepted
    if accepted:
        assert track.placements == 2
        assert track.hint is None
    else:
        assert contradiction.endswith("from the hint; 1 of 3 fixes agree on that")
        assert track.hint is hinted.hint


def test_a_hint_is_no_fix() -> None:
    assert Track().hinted(hint_at(9)).fix is None
    track, _ = followed(Fix(0, pose(0), pose(0)))
    assert track.hinted(hint_at(9)).fix is track.fix


def test_a_wrong_hint_is_overruled_by_agreeing_fixes() -> None:
    track, accepted = Track().hinted(hint_at(9)), []
    for k in range(4):
        track, contradiction = follow(track, Fix(k * SECOND, pose(0.1 * k), pose(0.1 * k)), OPTIONS)
        accepted.append(not contradiction)
    assert accepted == [False, False, True, True]
    assert track.hint is None


def test_odometry_moves_a_hint() -> None:
    hinted = Track().hinted(hint_at(9, within_m=0.1))
    assert follow(hinted, Fix(2 * SECOND, pose(14), pose(5)), OPTIONS)[1] == ""
    assert follow(hinted, Fix(2 * SECOND, pose(9), pose(5)), OPTIONS)[1] != ""


def test_a_hint_is_seen_from_above() -> None:
    high = pose(9)
    high[2, 3] = 2.0
    assert follow(Track().hinted(hint_at(9)), Fix(2 * SECOND, high, pose(0)), OPTIONS)[1] == ""


def test_a_hint_in_another_frame_is_contradicted() -> None:
    seen = Fix(2 * SECOND, pose(9), pose(0), "map_hall")
    assert follow(Track().hinted(hint_at(9, map_frame="map_hall")), seen, OPTIONS)[1] == ""
    contradiction = follow(Track().hinted(hint_at(9, map_frame="map_attic")), seen, OPTIONS)[1]
    assert contradiction.startswith("jump from frame 'map_attic' to 'map_hall' from the hint")


def test_without_odometry_the_time_between_two_fixes_allows_for_motion() -> None:
    walking = TrackingOptions(max_jump_m=0.5, max_speed_m_per_s=1.5)
    assert followed(Fix(0, pose(0)), Fix(2 * SECOND, pose(3.4)), options=walking)[1] == [True, True]
    assert followed(Fix(0, pose(0)), Fix(2 * SECOND, pose(3.6)), options=walking)[1] == [True, False]


def test_the_message_says_how_far_and_how_many_agree() -> None:
    track, _ = followed(Fix(0, pose(0), pose(0)))
    assert follow(track, Fix(1, pose(2), pose(0)), OPTIONS)[1] == (
        "jump of 2.00 m, 0 deg (allowed 0.50 m, 15 deg); 1 of 3 fixes agree on that"
    )


@pytest.mark.parametrize(
    ("has_map", "since_s", "state"),
    [
        (False, None, State.UNINITIALIZED),
        (False, 0.1, State.UNINITIALIZED),
        (True, None, State.LOCALIZING),
        (True, 1.9, State.LOCALIZED),
        (True, 2.1, State.LOST),
    ],
)
def test_states(has_map: bool, since_s: float | None, state: State) -> None:
    assert state_of(has_map, since_s, OPTIONS.lost_after_s) is state
