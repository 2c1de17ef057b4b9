"""Map server and relocalizer in one process: the map is handed over, and not taken from the topic."""

from pathlib import Path

import pytest
from std_msgs.msg import UInt8MultiArray
from support import ROOT
from support.graph import LATCHED, Graph, Program
from support.robot import Robot

from vloc_ros.datasets import Frame
from vloc_ros.maps import read_map

SERVER, RELOCALIZER = "/vloc_map_server", "/relocalizer"


@pytest.fixture(scope="module")
def program(module_graph: Graph, shipped_map: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """As the launch file starts it."""
    own = tmp_path_factory.mktemp("parameters") / "map.yaml"
    own.write_text(f"/**/vloc_map_server: {{ros__parameters: {{map: {shipped_map}}}}}")
    files = [ROOT / "config/relocalizer.yaml", ROOT / "config/map_server.yaml", own]
    words = [word for path in files for word in ("--params-file", str(path))]
    return module_graph.start("localization", *words, threads=1, tf_mode="none", base_frame="")


@pytest.fixture(scope="module")
def robot(module_graph: Graph, program: Program, frames: list[Frame]) -> Robot:
    robot = Robot(module_graph, frames)
    robot.wait_to_be_heard()
    return robot


def map_id_of(robot: Robot) -> str:
    return robot.localize()["map_id"]


def test_the_map_is_handed_over(robot: Robot, shipped_map: Path) -> None:
    answer = robot.localize()
    assert answer.is_fix
    assert answer["map_id"] == read_map(shipped_map).map_id
    assert robot.graph.parameter(SERVER, "map") == str(shipped_map)
    assert robot.graph.parameter(RELOCALIZER, "map") == ""
    assert robot.graph.node.count_subscribers("/map/data") == 0, "nothing is sent to oneself"


def test_another_map_is_handed_over_too(robot: Robot, annex_map: Path, shipped_map: Path) -> None:
    for directory in (annex_map, shipped_map):
        assert robot.graph.set_parameter(SERVER, "map", str(directory)).successful
        wanted = read_map(directory).map_id
        robot.graph.wait_for(lambda: map_id_of(robot) == wanted)  # noqa: B023
        assert robot.localize().is_fix


def test_others_get_the_map_as_always(robot: Robot, shipped_map: Path) -> None:
    with robot.graph.listening(UInt8MultiArray, "/map/data", LATCHED) as data:
        robot.graph.wait_for(lambda: data)
    assert len(data[-1].data) > read_map(shipped_map).size_bytes


def test_both_end_together(robot: Robot, program: Program) -> None:
    program.stop()
