"""Fixtures of the tests over DDS: graphs of nodes, a robot, maps. They skip where ROS is missing."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import SHIPPED_MAP

from vloc_ros.datasets import Frame
from vloc_ros.datasets.synthetic_room import open_synthetic_room
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.maps import read_map, write_map

if TYPE_CHECKING:
    from support.graph import Graph
    from support.robot import Robot

ANNEX_OFFSET_M = np.array([10.0, 0.0, 0.0])
FRAMES = (0, 2, 100)  # of the drive: two beside each other, and one elsewhere


@pytest.fixture(scope="session")
def frames() -> list[Frame]:
    """Small images of the synthetic room, with true poses."""
    drive = open_synthetic_room(None, "drive")
    small = replace(drive, intrinsics=drive.intrinsics.resized(320, 240))
    return [small.frame(index) for index in FRAMES]


@pytest.fixture(scope="session")
def shipped_map() -> Path:
    return SHIPPED_MAP


@pytest.fixture(scope="session")
def offline() -> Localizer:
    """The same map without ROS."""
    return load_localizer(SHIPPED_MAP, SessionOptions(threads=1))


@pytest.fixture(scope="session")
def annex_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same room somewhere else: ten metres away, in the frame "annex"."""
    stored = read_map(SHIPPED_MAP)
    room = stored.landmark_map
    moved = replace(
        room, positions=room.positions + ANNEX_OFFSET_M, manifest=replace(room.manifest, frame_id="annex", places=())
    )
    directory = tmp_path_factory.mktemp("maps") / "annex"
    write_map(directory, moved, stored.networks, np.zeros((2, 2, 3), np.uint8))
    return directory


@pytest.fixture(scope="session")
def make_graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], "Graph"]]:
    """Makes graphs, each in a domain of its own; all their programs end with the tests at the latest."""
    from support.graph import Graph, isolated_environment
    from support.program_server import ProgramServer

    from vloc_ros.ros.domains import is_quiet, reserve_domain

    made: list[Graph] = []

    def domain() -> int:
        """One of a graph that is closed, for there are only so many for all tests that run on this computer."""
        left = {graph.domain_id for graph in made} - {graph.domain_id for graph in made if not graph.is_closed}
        return next(filter(is_quiet, left), None) or reserve_domain()

    with pytest.MonkeyPatch.context() as environment:
        for name, value in isolated_environment().items():
            environment.delenv(name, raising=False) if value is None else environment.setenv(name, value)
        with ProgramServer() as server:

            def make() -> Graph:
                made.append(Graph(domain(), tmp_path_factory.mktemp("logs"), server))
                return made[-1]

            yield make
            for graph in made:
                graph.close()


@pytest.fixture(scope="module")
def module_graph(make_graph: Callable[[], "Graph"]) -> Iterator["Graph"]:
    """A graph for all tests of a file."""
    graph = make_graph()
    yield graph
    graph.close()


@pytest.fixture
def graph(make_graph: Callable[[], "Graph"]) -> Iterator["Graph"]:
    """A graph for one test."""
    made = make_graph()
    yield made
    made.close()


@pytest.fixture(scope="session")
def shared_robot(make_graph: Callable[[], "Graph"], frames: list[Frame]) -> "Robot":
    """A robot whose relocalizer runs for all tests that leave it as it was."""
    from support.robot import Robot

    graph = make_graph()
    graph.start("relocalizer", map=SHIPPED_MAP, threads=1, tf_timeout=5.0, lost_after=1000.0)
    robot = Robot(graph, frames)
    robot.mount_camera()
    robot.wait_for_relocalizer()
    return robot


@pytest.fixture(scope="module")
def active_robot(shared_robot: "Robot") -> Iterator["Robot"]:
    """The shared robot, whose relocalizer does nothing while other files are tested."""
    from support.graph import ACTIVATE, DEACTIVATE

    graph, node = shared_robot.graph, shared_robot.relocalizer
    if graph.state(node) == "inactive":
        assert graph.change_state(node, ACTIVATE)
        shared_robot.wait_for_relocalizer()
    yield shared_robot
    assert graph.change_state(node, DEACTIVATE)


@pytest.fixture
def robot(active_robot: "Robot") -> Iterator["Robot"]:
    """The shared robot as new: localizing, its relocalizer with the parameters that it started with."""
    yield active_robot
    active_robot.restore()
