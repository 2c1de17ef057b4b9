"""A building in the relocalizer: an image names its place, the robot changes it on evidence, what cannot be is one
line."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.srv import LoadMap
from std_msgs.msg import String
from support.building_scenes import STEP, WALL_PLACES, wall_frame, write_seen_rooms, write_wall_places
from support.graph import LATCHED, Graph
from support.robot import Answer, Robot, matrix_of

from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.maps import read_stored

CELLAR = from_quaternion([0.01, 0.02, -0.02, 1.0], [0.0, 3.0, 0.1])  # a part of the wall that no other place has
ALONE = {"threads": 1, "tf_mode": "none", "base_frame": ""}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("maps") / "house"
    write_wall_places(directory)
    return directory


def test_the_place_is_found_and_changes_on_evidence(graph: Graph, house: Path) -> None:
    program = graph.start("relocalizer", map=house, **ALONE)
    robot = Robot(graph, [wall_frame(perturb(pose, STEP)) for pose in WALL_PLACES.values()])
    places = graph.listen(String, "/relocalizer/place", LATCHED)
    told = graph.listen(DiagnosticArray, "/diagnostics")
    robot.wait_to_be_heard()
    robot.localize_until(lambda: robot.status().is_fix)
    robot.restart_track()
    first = robot.localize(0)
    assert (first["place"], first["map_frame"]) == ("hall", "map_hall")
    assert first["map_id"] == read_stored(house).map_id
    camera = robot.camera_pose_of(first)
    np.testing.assert_allclose(matrix_of(camera.pose)[:3, 3], robot.frames[0].map_from_camera[:3, 3], atol=0.05)
    carried = [robot.localize(1) for _ in range(3)]
    assert [answer["scene"] for answer in carried] == ["attic"] * 3
    assert [answer.is_fix for answer in carried] == [False, False, True]
    assert "jump from place 'hall' to 'attic'" in carried[0]["rejection"]
    assert robot.pose_of(carried[2]).header.frame_id == "map_attic"
    assert [message.header.frame_id for message in robot.poses].count("map_attic") == 1
    graph.wait_for(lambda: len(places) == 2 and any("attic" in str(message) for message in told))
    assert [message.data for message in places] == ["hall", "attic"]
    program.stop()


def test_so_many_places_stay_in_memory(graph: Graph, tmp_path: Path) -> None:
    """A place that is in memory is found although its map is gone from the disk."""
    house, gone = tmp_path / "house", tmp_path / "gone"
    frames = {**{name: wall_frame(pose) for name, pose in WALL_PLACES.items()}, "cellar": wall_frame(CELLAR)}
    write_seen_rooms(house, frames)
    program = graph.start("relocalizer", map=house, max_open_maps=2, **ALONE)
    robot = Robot(graph, list(frames.values()))
    robot.wait_to_be_heard()
    robot.localize_until(lambda: robot.status().is_fix)

    def looked_for(number: int) -> Answer:
        robot.restart_track()
        return robot.localize(number)

    assert [looked_for(number)["scene"] for number in range(3)] == list(frames)
    (house / "places" / "hall").rename(gone)
    assert "places/hall: there is no such map directory" in looked_for(0)["rejection"]
    gone.rename(house / "places" / "hall")
    robot.configure(max_open_maps=3)
    assert [looked_for(number)["scene"] for number in range(3)] == list(frames)
    (house / "places" / "hall").rename(gone)
    assert looked_for(0).is_fix
    refused = graph.set_parameter("/relocalizer", "max_open_maps", 1)
    assert "must be 0 or from 2 to 1000" in refused.reason
    program.stop()


def test_another_copy_of_a_building_is_read_from_where_it_lies(graph: Graph, house: Path, tmp_path: Path) -> None:
    """As after a disk has failed: maps of places are read when they are needed."""
    first, second = tmp_path / "first", tmp_path / "second"
    for copy in (first, second):
        shutil.copytree(house, copy)
    program = graph.start("relocalizer", map=first, **ALONE)
    robot = Robot(graph, [wall_frame(pose) for pose in WALL_PLACES.values()])
    robot.wait_to_be_heard()
    robot.localize_until(lambda: robot.status().is_fix)
    (first / "places" / "attic").rename(tmp_path / "gone")
    robot.restart_track()
    rejection = robot.localize(1)["rejection"]
    assert rejection.startswith("no_map: ")
    assert "places/attic: there is no such map directory" in rejection
    assert graph.set_parameter("/relocalizer", "map", str(second)).successful
    graph.wait_for(lambda: program.lines("INFO", f"{second}: using map"))
    robot.restart_track()
    assert robot.localize(1)["scene"] == "attic"
    program.stop()


def test_a_map_server_sends_one_map(graph: Graph, house: Path, shipped_map: Path) -> None:
    alone = graph.start("map_server", "-r", "__node:=alone", map=house)
    graph.wait_for(lambda: alone.lines("ERROR", "house: is a building, and a map server sends one map"))
    server = graph.start("map_server", map=shipped_map, maps=[str(house)])
    refused = graph.set_parameter("/vloc_map_server", "map", str(house))
    assert "is a building" in refused.reason
    answer = graph.call(LoadMap, "/vloc_map_server/load_map", LoadMap.Request(map_url=str(house)))
    assert answer.result == LoadMap.Response.RESULT_INVALID_MAP_DATA
    assert graph.parameter("/vloc_map_server", "map") == str(shipped_map)
    for program in (alone, server):
        program.stop()
