"""Maps that anybody may send: what they cost is bounded, the next good one is used, and who may send can be limited."""

from array import array
from functools import partial
from pathlib import Path

import pytest
from std_msgs.msg import UInt8MultiArray
from support import ROOT
from support.costly_networks import costly, packed_map, with_endless_work
from support.graph import LATCHED, Graph, Program
from support.robot import Robot

from vloc_ros.datasets import Frame
from vloc_ros.maps import pack_map, read_map

CAMERA_ALONE = {"threads": 1, "tf_mode": "none", "base_frame": ""}


class Sender:
    """Publishes maps without being a map server."""

    def __init__(self, graph: Graph) -> None:
        self._publisher = graph.node.create_publisher(UInt8MultiArray, "/map/data", LATCHED)
        graph.wait_for(self._publisher.get_subscription_count, "a subscription of map/data")

    def send(self, packed: bytes) -> None:
        self._publisher.publish(UInt8MultiArray(data=array("B", packed)))


@pytest.fixture
def endless(tmp_path: Path) -> bytes:
    return packed_map(tmp_path, costly(with_endless_work))


def refusals(program: Program, *words: str) -> list[str]:
    return program.lines("ERROR", "map/data: ", *words)


def test_a_network_that_does_not_end_is_given_up_and_the_next_map_is_used(
    graph: Graph, frames: list[Frame], shipped_map: Path, endless: bytes
) -> None:
    program = graph.start("relocalizer", map_check_timeout=1.0, **CAMERA_ALONE)
    sender, stored = Sender(graph), read_map(shipped_map)
    sender.send(endless)
    graph.wait_for(lambda: refusals(program, "given up", "there is no other map"))
    assert graph.set_parameter("/relocalizer", "map_check_timeout", 120.0).successful
    sender.send(pack_map(stored))
    robot = Robot(graph, frames)
    robot.wait_to_be_heard()
    graph.wait_for(lambda: robot.statuses and robot.status()["map_id"] == stored.map_id)
    assert robot.ask(partial(robot.send_image, frames[0])).is_fix
    program.stop()


def test_it_can_be_interrupted_while_it_tries_out_a_network_that_does_not_end(graph: Graph, endless: bytes) -> None:
    program = graph.start("relocalizer", map_check_timeout=1000.0, **CAMERA_ALONE)
    Sender(graph).send(endless)
    graph.spin(3.0)
    assert not refusals(program)
    program.stop()


def test_maps_that_are_not_allowed_are_refused(graph: Graph, shipped_map: Path) -> None:
    stored = read_map(shipped_map)
    program = graph.start("relocalizer", allowed_map_ids=["0123456789ab"], **CAMERA_ALONE)
    sender = Sender(graph)
    sender.send(pack_map(stored))
    graph.wait_for(lambda: refusals(program, f"map {stored.map_id} is not among the parameter allowed_map_ids"))
    assert graph.set_parameter("/relocalizer", "allowed_map_ids", [stored.map_id]).successful
    sender.send(pack_map(stored))
    graph.wait_for(lambda: program.lines("INFO", f"using map {stored.map_id}"))
    refused = graph.set_parameter("/relocalizer", "allowed_map_ids", ["office"])
    assert not refused.successful
    assert "'office'" in refused.reason
    program.stop()


def test_its_own_configuration_file_allows_every_map(graph: Graph, shipped_map: Path) -> None:
    """An empty list there has no type for ROS."""
    config = ROOT / "config" / "relocalizer.yaml"
    program = graph.start("relocalizer", "--params-file", str(config), **CAMERA_ALONE)
    Sender(graph).send(pack_map(read_map(shipped_map)))
    graph.wait_for(lambda: program.lines("INFO", "using map"))
    program.stop()
