"""Beside Nav2: names that are not its own, and its lifecycle manager's requests in every state."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("tf2_ros", reason="ROS 2 is not installed")

from graph import Graph, Program

SERVER, RELOCALIZER = "/vloc_map_server", "/relocalizer"
NAV2_NODES = {"map_server", "amcl", "lifecycle_manager", "lifecycle_manager_localization"}
NAV2_SERVICES = {"/reinitialize_global_localization", "/request_nomotion_update", "/set_initial_pose"}


@pytest.fixture(scope="module")
def programs(module_graph: Graph, shipped_map: Path) -> Iterator[list[Program]]:
    """Both nodes, started by themselves."""
    started = [
        module_graph.start("map_server", map=shipped_map),
        module_graph.start("relocalizer", map=shipped_map, threads=1),
    ]
    for node in (SERVER, RELOCALIZER):
        module_graph.wait_for(lambda node=node: module_graph.state(node) == "active", f"{node} to be active")
    yield started
    for program in started:
        program.stop()


def test_no_name_is_one_of_nav2s(module_graph: Graph, programs: list[Program]) -> None:
    node = module_graph.node
    assert not NAV2_NODES & set(node.get_node_names())
    services = {name for name, _ in node.get_service_names_and_types()}
    assert "/relocalizer/reinitialize_global_localization" in services
    assert not NAV2_SERVICES & services
    assert not [name for name in services if name.startswith("/map_server/")]
