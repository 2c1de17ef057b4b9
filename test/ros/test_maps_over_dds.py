"""Maps on their way from the map server to the relocalizer: late, again, another one, bad ones; and who dies."""

import shutil
from array import array
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from std_msgs.msg import UInt8MultiArray
from support.graph import LATCHED, Graph, Program
from support.robot import Robot, matrix_of

from vloc_ros.datasets import Frame
from vloc_ros.maps import read_map

HUGE_MB = 200
CAMERA_ALONE = {"threads": 1, "tf_mode": "none", "base_frame": ""}


@pytest.fixture(scope="module")
def maps(shipped_map: Path, annex_map: Path) -> dict[str, Path]:
    """By the names of their frames."""
    return {"map": shipped_map, "annex": annex_map}


@pytest.fixture(scope="module")
def relocalizer(module_graph: Graph) -> Program:
    return module_graph.start("relocalizer", **CAMERA_ALONE)


@pytest.fixture(scope="module")
def robot(module_graph: Graph, relocalizer: Program, frames: list[Frame]) -> Robot:
    """Its relocalizer has no map of its own. The tests of this file go on where the one before ended."""
    robot = Robot(module_graph, frames)
    robot.wait_to_be_heard()
    return robot


def resident_mb(program: Program) -> float:
    status = Path(f"/proc/{program.pid}/status").read_text()
    return next(float(line.split()[1]) / 1e3 for line in status.splitlines() if line.startswith("VmRSS"))


def ask(robot: Robot, index: int = 0) -> str:
    """The map that the relocalizer uses, after another image."""
    return robot.ask(partial(robot.send_image, robot.frames[index]))["map_id"]


def wait_for_map(robot: Robot, directory: Path) -> None:
    wanted = read_map(directory).map_id
    robot.graph.wait_for(lambda: robot.statuses and robot.status()["map_id"] == wanted, f"map {wanted}")


def is_fix(robot: Robot) -> bool:
    return robot.ask(partial(robot.send_image, robot.frames[0])).is_fix


def test_without_a_map_it_says_so(robot: Robot) -> None:
    answer = robot.ask(partial(robot.send_image, robot.frames[0]))
    assert answer["state"] == "uninitialized"
    assert answer["rejection"].startswith("no_map: ")
    assert answer["map_id"] == ""


def test_it_listens_to_a_map_server(robot: Robot) -> None:
    assert robot.graph.subscription_of("/map/data") == ("std_msgs/msg/UInt8MultiArray", True, True)


@pytest.fixture(scope="module")
def server(robot: Robot, maps: dict[str, Path]) -> list[Program]:
    """The map server; the last one of the list is the one that runs."""
    return [robot.graph.start("map_server", map=maps["map"])]


def test_a_map_server_may_come_late(robot: Robot, server: list[Program], maps: dict[str, Path]) -> None:
    wait_for_map(robot, maps["map"])
    assert is_fix(robot)


def test_a_map_is_switched_without_a_gap(robot: Robot, server: list[Program], maps: dict[str, Path]) -> None:
    """Until the new one is open, images are localized in the old one, and poses say in which."""
    old, new = (read_map(maps[name]).map_id for name in ("map", "annex"))
    assert robot.graph.set_parameter("/vloc_map_server", "map", str(maps["annex"])).successful
    used: list[str] = []
    while not used or used[-1] != new:
        answer = robot.ask(partial(robot.send_image, robot.frames[0]))
        used.append(answer["map_id"])
        assert answer.is_fix or answer["rejection"].startswith("outdated: ")
    assert set(used) <= {old, new}
    answer = robot.ask(partial(robot.send_image, robot.frames[0]))
    camera = robot.camera_pose_of(answer)
    off_m = matrix_of(camera.pose)[:3, 3] - robot.frames[0].map_from_camera[:3, 3]
    assert answer["map_frame"] == camera.header.frame_id == "annex"
    np.testing.assert_allclose(off_m, (10, 0, 0), atol=0.1)


def test_it_lives_on_without_the_map_server(robot: Robot, server: list[Program], maps: dict[str, Path]) -> None:
    server[-1].kill()
    assert is_fix(robot)
    assert ask(robot) == read_map(maps["annex"]).map_id


def test_a_map_server_may_come_back(robot: Robot, server: list[Program], maps: dict[str, Path]) -> None:
    server.append(robot.graph.start("map_server", map=maps["map"]))
    wait_for_map(robot, maps["map"])
    assert is_fix(robot)


@pytest.mark.parametrize("content", [b"", b"no map at all", b"PK\x05\x06" + bytes(18)], ids=["empty", "text", "zip"])
def test_what_is_no_map_is_said_and_the_old_one_is_kept(
    robot: Robot, relocalizer: Program, server: list[Program], maps: dict[str, Path], content: bytes
) -> None:
    publisher = robot.graph.node.create_publisher(UInt8MultiArray, "/map/data", LATCHED)
    said = len(relocalizer.lines("ERROR", "map/data", "still using map"))
    robot.graph.wait_for(publisher.get_subscription_count)
    publisher.publish(UInt8MultiArray(data=array("B", content)))
    robot.graph.wait_for(lambda: len(relocalizer.lines("ERROR", "map/data", "still using map")) > said)
    robot.graph.node.destroy_publisher(publisher)
    assert is_fix(robot)
    assert ask(robot) == read_map(maps["map"]).map_id


def test_a_map_larger_than_the_limit_is_refused_until_the_limit_is_raised(
    robot: Robot, relocalizer: Program, server: list[Program], maps: dict[str, Path]
) -> None:
    robot.configure(max_map_mb=0.5)
    assert robot.graph.set_parameter("/vloc_map_server", "map", str(maps["annex"])).successful
    robot.graph.wait_for(lambda: relocalizer.lines("ERROR", "max_map_mb allows 0.5 MB"))
    assert ask(robot) == read_map(maps["map"]).map_id
    robot.restore()
    wait_for_map(robot, maps["annex"])


def test_a_map_that_is_refused_is_not_kept(
    robot: Robot, relocalizer: Program, server: list[Program], maps: dict[str, Path]
) -> None:
    publisher = robot.graph.node.create_publisher(UInt8MultiArray, "/map/data", LATCHED)
    said = len(relocalizer.lines("ERROR", "max_map_mb"))
    robot.graph.wait_for(publisher.get_subscription_count)
    before_mb = resident_mb(relocalizer)
    publisher.publish(UInt8MultiArray(data=array("B", bytes(HUGE_MB * 1_000_000))))
    robot.graph.wait_for(lambda: len(relocalizer.lines("ERROR", "max_map_mb")) > said)
    robot.graph.node.destroy_publisher(publisher)
    robot.graph.wait_for(lambda: resident_mb(relocalizer) < before_mb + HUGE_MB / 4, "the memory of a refused map")
    assert ask(robot) == read_map(maps["annex"]).map_id


def test_after_a_refused_map_who_comes_later_is_heard_and_who_was_there_already(
    robot: Robot, relocalizer: Program, server: list[Program], maps: dict[str, Path]
) -> None:
    publisher = robot.graph.node.create_publisher(UInt8MultiArray, "/map/data", LATCHED)
    publisher.publish(UInt8MultiArray(data=array("B", b"sent before anybody listens")))
    robot.graph.wait_for(lambda: relocalizer.lines("ERROR", "map/data: 27 bytes"))
    robot.graph.node.destroy_publisher(publisher)
    assert robot.graph.set_parameter("/vloc_map_server", "map", str(maps["map"])).successful
    wait_for_map(robot, maps["map"])


def test_a_map_of_its_own_wins_until_it_is_taken_away(
    robot: Robot, server: list[Program], maps: dict[str, Path]
) -> None:
    """The map server has had the other one since the test before."""
    set_map = partial(robot.graph.set_parameter, "/relocalizer", "map")
    refused = set_map("/there/is/no/such/map")
    assert not refused.successful
    assert "no such map directory" in refused.reason
    assert set_map("").successful
    assert robot.graph.set_parameter("/vloc_map_server", "map", str(maps["map"])).successful
    assert robot.graph.set_parameter("/vloc_map_server", "map", str(maps["annex"])).successful
    wait_for_map(robot, maps["annex"])
    assert set_map(str(maps["map"])).successful
    wait_for_map(robot, maps["map"])
    assert set_map("").successful
    wait_for_map(robot, maps["annex"])


def test_a_relocalizer_may_come_back(
    robot: Robot, relocalizer: Program, server: list[Program], maps: dict[str, Path]
) -> None:
    relocalizer.kill()
    assert server[-1].is_running
    robot.statuses.clear()
    again = robot.graph.start("relocalizer", **CAMERA_ALONE)
    wait_for_map(robot, maps["annex"])
    assert is_fix(robot)
    for program in (again, server[-1]):
        program.stop()


def test_a_local_map_that_does_not_exist_is_said_and_may_be_put_right(
    graph: Graph, frames: list[Frame], shipped_map: Path, tmp_path: Path
) -> None:
    office = tmp_path / "office"
    program = graph.start("relocalizer", map=office, **CAMERA_ALONE)
    graph.wait_for(lambda: program.lines("ERROR", str(office), "no such map directory"))
    shutil.copytree(shipped_map, tmp_path / "other")
    assert graph.set_parameter("/relocalizer", "map", str(tmp_path / "other")).successful
    robot = Robot(graph, frames)
    robot.wait_to_be_heard()
    assert is_fix(robot)
    program.stop()
