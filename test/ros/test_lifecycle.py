"""Lifecycle transitions, without and after autostart."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from std_msgs.msg import String
from support.graph import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, LATCHED, SHUTDOWN, Graph, Program
from support.robot import Robot

from vloc_ros.datasets import Frame

NODE, SERVER = "/relocalizer", "/vloc_map_server"


@pytest.fixture(scope="module")
def relocalizer(module_graph: Graph) -> Program:
    return module_graph.start("relocalizer", autostart=False, threads=1, tf_timeout=5.0)


@pytest.fixture(scope="module")
def waiting(module_graph: Graph, relocalizer: Program, frames: list[Frame]) -> Robot:
    robot = Robot(module_graph, frames)
    robot.mount_camera()
    return robot


@pytest.fixture
def robot(waiting: Robot, shipped_map: Path) -> Iterator[Robot]:
    """Its relocalizer is unconfigured, its map is the shipped one."""
    assert waiting.graph.set_parameter(NODE, "map", str(shipped_map)).successful
    yield waiting
    if waiting.graph.state(NODE) == "active":
        waiting.graph.change_state(NODE, DEACTIVATE)
    if waiting.graph.state(NODE) == "inactive":
        waiting.graph.change_state(NODE, CLEANUP)
    waiting.statuses.clear()


def test_without_autostart_it_waits(robot: Robot) -> None:
    assert robot.graph.state(NODE) == "unconfigured"
    robot.graph.spin(0.3)
    assert not robot.statuses


def test_through_all_states_and_again(robot: Robot) -> None:
    graph = robot.graph
    for _ in range(2):
        assert graph.change_state(NODE, CONFIGURE)
        assert graph.state(NODE) == "inactive"
        assert graph.change_state(NODE, ACTIVATE)
        assert graph.state(NODE) == "active"
        robot.wait_to_be_heard()
        assert robot.localize().is_fix
        assert graph.change_state(NODE, DEACTIVATE)
        assert graph.state(NODE) == "inactive"
        assert graph.change_state(NODE, CLEANUP)
        assert graph.state(NODE) == "unconfigured"


def test_inactive_it_takes_no_images_and_broadcasts_nothing(robot: Robot) -> None:
    graph = robot.graph
    with graph.listening_to_tf("map") as heard:
        assert graph.change_state(NODE, CONFIGURE)
        assert graph.change_state(NODE, ACTIVATE)
        robot.wait_to_be_heard()
        assert robot.localize().is_fix
        graph.wait_for(lambda: heard)
        assert graph.change_state(NODE, DEACTIVATE)
        graph.wait_for(lambda: not robot.images.get_subscription_count())
        heard.clear()
        stamps = [robot.now_ns()]
        robot.send(robot.frames[0], stamps[0])
        graph.spin()
        assert robot.answer_to(stamps) is None
        assert not heard
    assert graph.change_state(NODE, ACTIVATE)
    robot.wait_to_be_heard()
    assert robot.localize().is_fix


def test_fixed_parameters_may_change_while_it_is_not_configured(robot: Robot) -> None:
    graph = robot.graph
    assert graph.set_parameter(NODE, "threads", 2).successful
    assert graph.set_parameter(NODE, "backend", "onnxruntime").successful
    assert graph.change_state(NODE, CONFIGURE)
    assert not graph.set_parameter(NODE, "threads", 1).successful
    assert graph.change_state(NODE, CLEANUP)
    assert graph.set_parameter(NODE, "threads", 1).successful


def test_configuring_with_a_bad_map_fails_and_may_be_repeated(robot: Robot, shipped_map: Path) -> None:
    graph = robot.graph
    assert graph.set_parameter(NODE, "map", "/there/is/no/such/map").successful, "nobody reads it yet"
    assert not graph.change_state(NODE, CONFIGURE)
    assert graph.state(NODE) == "unconfigured"
    assert graph.set_parameter(NODE, "map", str(shipped_map)).successful
    assert graph.state(NODE) == "unconfigured", "without autostart, only a lifecycle manager starts it"
    assert graph.change_state(NODE, CONFIGURE)


def test_the_map_server_publishes_when_active(graph: Graph, shipped_map: Path) -> None:
    program = graph.start("map_server", autostart=False, map=shipped_map)
    manifests = graph.listen(String, "/map/manifest", LATCHED)
    assert graph.change_state(SERVER, CONFIGURE)
    graph.spin(0.3)
    assert not manifests
    assert graph.change_state(SERVER, ACTIVATE)
    graph.wait_for(lambda: manifests)
    assert graph.change_state(SERVER, DEACTIVATE)
    assert graph.change_state(SERVER, CLEANUP)
    assert graph.change_state(SERVER, SHUTDOWN["unconfigured"])
    assert graph.state(SERVER) == "finalized"
    program.stop()


def test_shut_down_it_is_finalized_and_still_ends_cleanly(waiting: Robot, relocalizer: Program) -> None:
    graph = waiting.graph
    assert graph.change_state(NODE, CONFIGURE)
    assert graph.change_state(NODE, ACTIVATE)
    assert graph.change_state(NODE, SHUTDOWN["active"])
    assert graph.state(NODE) == "finalized"
    assert relocalizer.is_running
    relocalizer.stop()
