"""Several map directories at once: the relocalizer finds the one that it is in, with few of them in memory."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from std_msgs.msg import String
from support.graph import LATCHED, Graph
from support.robot import Robot

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.manifest import Manifest, places_apart
from vloc_ros.core.query import Query
from vloc_ros.core.types import CameraImage, PoseEstimate, Rejection, RejectionReason
from vloc_ros.datasets import Frame
from vloc_ros.errors import ModelError
from vloc_ros.geometry.camera import Camera
from vloc_ros.maps import read_map, write_map
from vloc_ros.ros.map_search import EVERY, MapSearch
from vloc_ros.ros.map_slot import MapSlot
from vloc_ros.ros.outputs import fix_place

ALONE = {"threads": 1, "tf_mode": "none", "base_frame": ""}
QUERY = Query.of(CameraImage(np.zeros((48, 64, 3), np.uint8), Camera(64, 48, 50.0, 50.0, 32.0, 24.0)))
NOT_HERE = Rejection(RejectionReason.NO_POSE, "no pose")


class Floor:
    """A localizer that finds so many inliers, none of which is a rejection."""

    def __init__(self, map_id: str) -> None:
        self.map_id, self.inliers, self.asked = map_id, 0, 0
        self.error: Exception | None = None

    def warm_up(self) -> None:
        """Nothing to do."""

    def localize(self, query: Any) -> Any:
        self.asked += 1
        if self.error:
            raise self.error
        return pose(self.inliers) if self.inliers else NOT_HERE


def pose(inliers: int) -> PoseEstimate:
    found = Correspondences(
        np.zeros((inliers, 2)), np.zeros((inliers, 3)), np.ones(inliers), np.arange(inliers, dtype=np.int32)
    )
    return PoseEstimate(np.eye(4), 1e-4 * np.eye(6), found, np.ones(inliers, bool), 0.5, 0.9)


class House:
    """Three maps, all of them open."""

    def __init__(self) -> None:
        self.floors = [Floor(name) for name in ("ground", "first", "second")]
        by_id = {floor.map_id: floor for floor in self.floors}
        self.log: list[str] = []
        self.slot = MapSlot(lambda stored, where: by_id[stored.map_id], lambda *_: None)  # type: ignore[arg-type, return-value]
        for floor in self.floors:
            stored: Any = SimpleNamespace(map_id=floor.map_id)
            add = self.slot.add if self.slot.names else self.slot.open
            add(stored, f"/maps/{floor.map_id}", floor.map_id)
        self.search = MapSearch(self.slot, self.log.append)

    def localize(self, in_doubt: bool = False) -> tuple[str, Any]:
        current: Any = self.slot.localizer
        found, result = self.search.localize(QUERY, current, lambda localizer: localizer, in_doubt)
        return found.map_id, result


@pytest.fixture
def house() -> House:
    return House()


def test_where_the_map_in_use_says_nothing_the_others_are_asked_in_turn(house: House) -> None:
    house.floors[2].inliers = 30
    assert {house.localize()[0] for _ in range(2)} == {"ground", "second"}
    house.slot.use(house.floors[2])  # type: ignore[arg-type]
    assert house.slot.names == ("second", "first", "ground")
    assert house.localize()[0] == "second"


def test_where_the_map_in_use_fits_the_others_are_asked_now_and_then(house: House) -> None:
    """Floors may look alike: then the map in use fits somewhat, and another one better."""
    for floor, inliers in zip(house.floors, (30, 90, 20), strict=True):
        floor.inliers = inliers
    said = [house.localize()[0] for _ in range(2 * EVERY)]
    assert (said.count("ground"), said.count("first")) == (2 * EVERY - 1, 1)
    assert house.floors[1].asked == house.floors[2].asked == 1


def test_in_doubt_the_same_other_map_is_asked_each_time(house: House) -> None:
    house.floors[0].inliers, house.floors[1].inliers = 30, 90
    first = next(said for said in (house.localize()[0] for _ in range(3 * EVERY)) if said != "ground")
    assert [house.localize(in_doubt=True)[0] for _ in range(4)] == [first] * 4


def test_another_map_whose_network_fails_is_let_go_of_alone(house: House) -> None:
    house.floors[1].error = ModelError("the GPU is lost")
    for _ in range(3):
        assert house.localize()[0] == "ground"
    assert house.slot.names == ("ground", "second")
    assert house.slot.failure == ""
    (line,) = house.log
    assert "the GPU is lost" in line


def test_the_slot_lets_go_of_what_is_not_wanted(house: House) -> None:
    house.slot.keep(["ground", "second"])
    assert house.slot.names == ("ground", "second")
    assert [other.map_id for other in house.slot.others] == ["second"]
    house.slot.close()
    assert not house.slot.names
    assert not house.slot.others


@pytest.mark.parametrize(
    ("places", "place", "map_name", "name"),
    [
        ((), None, "", "map"),
        ((), None, "first", "first"),
        (("hall", "attic"), "attic", "", "attic"),
        (("hall", "attic"), "attic", "first", "first/attic"),
    ],
)
def test_what_a_place_is_called_among_several_maps(
    places: tuple[str, ...], place: str | None, map_name: str, name: str
) -> None:
    manifest = Manifest("vsnet", "map", "2025-06-01T12:00:00Z", (64, 48), {}, places=places_apart(places, "map"))
    found = fix_place(manifest, place, map_name)
    assert (found.name, found.is_aligned) == (name, False)
    assert manifest.index_of(found.in_map) == manifest.index_of(place), "its map knows it"


@pytest.fixture(scope="module")
def maps(shipped_map: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two other rooms, whose landmarks are where no image has them, and the shipped one, last."""
    stored, folder = read_map(shipped_map), tmp_path_factory.mktemp("house")
    landmarks, rng = stored.landmark_map, np.random.default_rng(0)
    for name in ("cellar", "ground", "first"):
        order = np.arange(len(landmarks)) if name == "first" else rng.permutation(len(landmarks))
        made = replace(landmarks, positions=landmarks.positions[order])
        write_map(folder / name, made, stored.networks, np.zeros((2, 2, 3), np.uint8))
    return [folder / name for name in ("cellar", "ground", "first")]


def started(graph: Graph, maps: list[Path], frames: list[Frame], **more: object) -> Robot:
    graph.start("relocalizer", maps=[str(path) for path in maps], **ALONE, **more)
    robot = Robot(graph, frames)
    robot.wait_to_be_heard()
    return robot


def test_the_map_that_the_robot_is_in_is_found(graph: Graph, maps: list[Path], frames: list[Frame]) -> None:
    robot = started(graph, maps, frames, max_open_maps=2)
    places = graph.listen(String, "/relocalizer/place", LATCHED)
    robot.localize_until(lambda: robot.status().is_fix)
    answer = robot.localize()
    assert answer.is_fix
    assert answer["map_id"] == read_map(maps[2]).map_id
    assert answer["place"] == "first"
    graph.wait_for(lambda: places)
    assert [message.data for message in places] == ["first"]


def wrong_maps(maps: list[Path]) -> list[tuple[list[str], str]]:
    same = maps[0].parent / "other" / maps[0].name
    return [
        ([str(maps[0]), str(same)], "two of them are called"),
        ([str(maps[0]), "/no/such"], "no such map directory"),
    ]


@pytest.mark.parametrize("case", [0, 1])
def test_maps_that_cannot_be_are_one_line_at_start(graph: Graph, maps: list[Path], case: int) -> None:
    given, words = wrong_maps(maps)[case]
    program = graph.start("relocalizer", maps=given, **ALONE)
    graph.wait_for(lambda: program.lines("ERROR", words))
    assert len(program.log.splitlines()) == 1
    program.stop()
