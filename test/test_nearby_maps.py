"""Which of several maps are open: those near the robot, and the others in turn while it is lost; never too many."""

from dataclasses import replace

import numpy as np
import pytest
from support import SHIPPED_MAP

from vloc_ros.core.manifest import Place
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.maps import read_map
from vloc_ros.tracking.nearby_maps import NEAR_M, PATIENCE, TRIES, KnownMap, MapTurns, maps_to_open, names_of
from vloc_ros.tracking.track import Fix, FixPlace

LIMIT = 3


def storey(number: int, frame: str = "map") -> KnownMap:
    """Of a building whose storeys are 4 m high."""
    low = np.array([0.0, 0.0, 4.0 * number])
    return KnownMap(f"storey{number}", f"/maps/storey{number}", frame, low, low + np.array([20.0, 10.0, 3.0]))


HOUSE = [storey(k) for k in range(8)]


def fix(x: float, z: float, *, is_aligned: bool = True) -> Fix:
    return Fix(1, from_quaternion([0, 0, 0, 1], [x, 5.0, z]), None, "map", FixPlace("storey", is_aligned))


def test_what_is_near_is_open_nearest_first_and_no_more_than_so_many() -> None:
    assert maps_to_open(HOUSE, "storey3", fix(5, 13.9), LIMIT) == ("storey3", "storey4", "storey2")
    assert maps_to_open(HOUSE, "storey3", fix(5, 13.9), 2) == ("storey3", "storey4")
    assert maps_to_open(HOUSE, "storey0", fix(5 + 20 + NEAR_M, 1), LIMIT) == ("storey0",), "far outside of all"


def test_a_robot_on_the_floor_of_a_storey_is_there_in_two_d_mode_too() -> None:
    assert maps_to_open(HOUSE, "storey3", fix(5, 13.9).flattened(), LIMIT) == ("storey3", "storey4", "storey2")


def test_maps_whose_relation_is_not_known_are_not_near() -> None:
    apart = [storey(k, frame="") for k in range(3)]
    assert maps_to_open(apart, "storey1", fix(5, 5), LIMIT) == ("storey1",)
    assert maps_to_open(HOUSE, "storey1", fix(5, 5, is_aligned=False), LIMIT) == ("storey1",)
    assert maps_to_open(HOUSE, "storey1", None, LIMIT) == ("storey1",)


@pytest.mark.parametrize("limit", [2, 3, 5, 50])
def test_while_it_is_lost_every_map_has_its_turn(limit: int) -> None:
    turns, tried = MapTurns(HOUSE, limit), dict.fromkeys(HOUSE, 0)
    opened: tuple[str, ...] = ("storey3",)
    for _ in range(len(HOUSE) * (TRIES + 1)):
        opened = turns.after("storey3", None, True, opened)
        assert opened[0] == "storey3"
        assert len(opened) <= limit
        tried = {each: count + (each.name in opened) for each, count in tried.items()}
    assert min(tried.values()) >= TRIES


def test_a_map_that_does_not_open_does_not_stop_the_others() -> None:
    turns = MapTurns(HOUSE, 2)
    wanted = {turns.after("storey3", None, True, ("storey3",)) for _ in range(len(HOUSE) * (PATIENCE + 2))}
    assert {names[1] for names in wanted} == {each.name for each in HOUSE} - {"storey3"}


def test_maps_are_called_as_their_directories() -> None:
    assert names_of(["/maps/ground", "package://office/maps/first/", "file:///maps/cellar"]) == [
        "ground",
        "first",
        "cellar",
    ]
    with pytest.raises(ConfigError, match="two of them are called 'ground'"):
        names_of(["/maps/ground", "/old/ground"])


def test_what_is_known_of_a_map_that_is_not_open() -> None:
    """Where it lies, in the map's frame, if its place is aligned to that; otherwise nothing."""
    landmark_map = read_map(SHIPPED_MAP).landmark_map
    assert KnownMap.of("room", "/maps/room", landmark_map).frame == ""
    upstairs = Place("room", "room", (0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 1.0))
    placed = KnownMap.of(
        "room", "/maps/room", replace(landmark_map, manifest=replace(landmark_map.manifest, places=(upstairs,)))
    )
    assert placed.frame == "map"
    np.testing.assert_allclose(placed.low, landmark_map.positions.min(axis=0) + np.array([0, 0, 4]))
    assert placed.distance_m(fix(float(placed.low[0]) - 3, 5.0)) == pytest.approx(3.0, abs=0.2)
