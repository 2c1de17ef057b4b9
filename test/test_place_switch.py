"""Which place of a map the robot is in: it changes on evidence only, and nothing is believed while it is in doubt."""

from dataclasses import replace

import numpy as np
import pytest

from vloc_ros.geometry.transforms import Matrix, from_quaternion
from vloc_ros.tracking.track import Fix, FixPlace, Hint, Track, TrackingOptions, follow

OPTIONS = TrackingOptions(max_jump_m=0.5, max_jump_deg=15, agreeing_fixes=3, map_switch=3)
SECOND = 1_000_000_000


def at(x: float, y: float = 0.0, z: float = 0.0) -> Matrix:
    return from_quaternion([0, 0, 0, 1], [x, y, z])


def fix(place: str, x: float, *, seen_x: float | None = None, z: float = 0.0, aligned: bool = False) -> Fix:
    """Of a robot whose odometry says x, in the same frame wherever it is; `seen_x`: where the image puts it."""
    pose = at(x if seen_x is None else seen_x, z=z)
    return Fix(int(x * SECOND), pose, at(x), "map", FixPlace(place, aligned))


def driven(*fixes: Fix, track: Track | None = None) -> tuple[Track, list[str]]:
    """The track, and of each fix "" where it is believed."""
    track, said = track or Track(), []
    for each in fixes:
        track, contradiction = follow(track, each, OPTIONS)
        said.append(contradiction)
    return track, said


def place_of(track: Track) -> str:
    assert track.fix is not None
    assert track.fix.place is not None
    return track.fix.place.name


def test_another_place_is_believed_when_so_many_fixes_in_a_row_agree() -> None:
    """As after a lift: the same coordinates, on another floor."""
    track, said = driven(*(fix("ground", x) for x in (1, 2)), *(fix("first", x) for x in (3, 4, 5, 6)))
    assert [not text for text in said] == [True, True, False, False, True, True]
    assert said[2] == "jump from place 'ground' to 'first'; 1 of 3 fixes agree on that"
    assert place_of(track) == "first"
    assert track.placements == 2, "the robot is placed anew there"


def test_a_single_fix_elsewhere_changes_nothing_but_puts_the_place_in_doubt() -> None:
    track, said = driven(fix("ground", 1), fix("first", 2), *(fix("ground", x) for x in (3, 4, 5, 6)))
    assert [not text for text in said] == [True, False, False, False, True, True]
    assert said[2] == "the place is in doubt; 1 of 3 fixes agree on that"
    assert place_of(track) == "ground"
    assert track.placements == 1, "the track goes on, and nothing was placed anew"


def test_fixes_elsewhere_that_contradict_each_other_are_no_evidence() -> None:
    wrong = [fix("first", x, seen_x=10.0 * x) for x in range(2, 12)]
    track, said = driven(fix("ground", 1), *wrong)
    assert all(said[1:])
    assert place_of(track) == "ground"


def test_places_that_look_alike_leave_the_place_in_doubt() -> None:
    """Fixes come now from one, now from another, all where the odometry puts the robot: none of them is believed."""
    track, said = driven(fix("ground", 1), *(fix(("first", "ground")[x % 2], x) for x in range(2, 40)))
    assert all(said[1:])
    assert place_of(track) == "ground"


def test_no_fix_of_the_wrong_floor_is_believed_while_those_come_fewer_than_so_many_in_a_row() -> None:
    """Upstairs, some images are taken for downstairs, at the same coordinates: what odometry cannot contradict."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        seen = ["first"]  # the first image upstairs is taken right
        while len(seen) < 60:
            seen += ["first"] * rng.integers(1, 6) + ["ground"] * rng.integers(1, OPTIONS.map_switch)
        track, said = driven(*(fix("ground", x) for x in (1, 2)), *(fix(p, x) for x, p in enumerate(seen, start=3)))
        believed = [place for place, text in zip(seen, said[2:], strict=True) if not text]
        assert set(believed) == {"first"}
        assert place_of(track) == "first"


def test_through_a_door_between_places_whose_relation_is_known() -> None:
    """The robot is where the odometry puts it: it walked there."""
    fixes = [fix(place, x, aligned=True) for x, place in enumerate(("hall", "hall", "kitchen", "hall", "kitchen"))]
    track, said = driven(*fixes)
    assert not any(said)
    assert (place_of(track), track.placements) == ("kitchen", 1)


@pytest.mark.parametrize("two_d_mode", [False, True])
def test_a_floor_above_is_no_door_where_the_relation_is_known(two_d_mode: bool) -> None:
    floors = [fix("ground", 1, aligned=True), *(fix("first", x, z=3.2, aligned=True) for x in (2, 3, 4))]
    track, said = driven(*(each.flattened() if two_d_mode else each for each in floors))
    assert [not text for text in said] == [True, False, False, True]
    assert track.placements == 2


def test_a_hint_does_not_say_the_place() -> None:
    track, _ = driven(fix("ground", 1), fix("first", 2))
    hint = Hint(replace(fix("ground", 3), place=None), within_m=0.5, within_deg=10.0)
    track, said = driven(fix("first", 3), track=track.hinted(hint))
    assert said == [""]
    assert place_of(track) == "first"
