"""Beside Nav2: names that are not its own, and its lifecycle manager's requests in every state."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from rclpy.node import Node
from support.graph import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, SHUTDOWN, Graph, Program

SERVER, RELOCALIZER = "/vloc_map_server", "/relocalizer"
NAV2_NODES = {"map_server", "amcl", "lifecycle_manager", "lifecycle_manager_localization"}
NAV2_SERVICES = {"/reinitialize_global_localization", "/request_nomotion_update", "/set_initial_pose"}


def is_active(graph: Graph, node: str) -> bool:
    return graph.state(node) == "active"


@pytest.fixture(scope="module")
def programs(module_graph: Graph, shipped_map: Path) -> Iterator[list[Program]]:
    """Both nodes, started by themselves."""
    started = [
        module_graph.start("map_server", map=shipped_map),
        module_graph.start("relocalizer", map=shipped_map, threads=1),
    ]
    for node in (SERVER, RELOCALIZER):
        module_graph.wait_for(partial(is_active, module_graph, node), f"{node} to be active")
    yield started
    for program in started:
        program.stop()


def services_of(node: Node) -> set[str]:
    return {name for name, _ in node.get_service_names_and_types()}


def test_no_name_is_one_of_nav2s(module_graph: Graph, programs: list[Program]) -> None:
    node = module_graph.node
    assert not NAV2_NODES & set(node.get_node_names())
    module_graph.wait_for(lambda: "/relocalizer/reinitialize_global_localization" in services_of(node), "its services")
    services = services_of(node)
    assert not NAV2_SERVICES & services
    assert not [name for name in services if name.startswith("/map_server/")]


class Manager:
    """The requests of nav2_lifecycle_manager, in its order, without a bond."""

    def __init__(self, graph: Graph, *nodes: str) -> None:
        self._graph, self._nodes = graph, nodes

    def startup(self) -> bool:
        return self._change_all(CONFIGURE, "inactive") and self._change_all(ACTIVATE, "active")

    def pause(self) -> bool:
        return self._change_all(DEACTIVATE, "inactive")

    def resume(self) -> bool:
        return self._change_all(ACTIVATE, "active")

    def reset(self) -> bool:
        return self._change_all(DEACTIVATE, "inactive") and self._change_all(CLEANUP, "unconfigured")

    def shutdown(self) -> bool:
        self._change_all(DEACTIVATE, "inactive")
        self._change_all(CLEANUP, "unconfigured")
        return self._change_all(SHUTDOWN["unconfigured"], "finalized")

    def _change_all(self, transition: int, goal: str) -> bool:
        """Up in the order of the nodes, down in the other one; the first failure ends it."""
        nodes = self._nodes if transition in (CONFIGURE, ACTIVATE) else reversed(self._nodes)
        return all(
            self._graph.change_state(node, transition) and self._graph.state(node) == goal for node in tuple(nodes)
        )


@pytest.fixture(scope="module")
def manager(module_graph: Graph, programs: list[Program]) -> Manager:
    return Manager(module_graph, SERVER, RELOCALIZER)


def test_a_manager_that_starts_nodes_which_did_so_themselves_is_told(
    module_graph: Graph, programs: list[Program], manager: Manager
) -> None:
    assert not manager.startup()
    assert [module_graph.state(node) for node in (SERVER, RELOCALIZER)] == ["active", "active"]
    assert programs[0].lines("INFO", "asked to configure: the node is active already", "autostart")


def test_all_its_commands_work(module_graph: Graph, manager: Manager) -> None:
    assert manager.pause()
    assert not manager.pause()
    assert manager.resume()
    assert not manager.resume()
    assert manager.reset()
    assert not manager.reset()
    assert not manager.pause()
    assert manager.startup()
    assert not manager.startup()
    assert [module_graph.state(node) for node in (SERVER, RELOCALIZER)] == ["active", "active"]


ALLOWED = {
    "active": {DEACTIVATE, SHUTDOWN["active"]},
    "inactive": {ACTIVATE, CLEANUP, SHUTDOWN["inactive"]},
    "unconfigured": {CONFIGURE, SHUTDOWN["unconfigured"]},
    "finalized": set(),
}
NO_USER_S_TRANSITIONS = {0, 8, 10, 63, 99}  # create, destroy, internal ones, none


def test_what_a_state_does_not_allow_is_refused_in_each(
    module_graph: Graph, programs: list[Program], manager: Manager
) -> None:
    steps = {
        "active": lambda: True,
        "inactive": manager.pause,
        "unconfigured": lambda: manager.resume() and manager.reset(),
        "finalized": manager.shutdown,
    }
    for state, step in steps.items():
        assert step()
        for node in (SERVER, RELOCALIZER):
            assert module_graph.state(node) == state
            illegal = {CONFIGURE, CLEANUP, ACTIVATE, DEACTIVATE, *SHUTDOWN.values(), *NO_USER_S_TRANSITIONS}
            for transition in sorted(illegal - ALLOWED[state]):
                assert not module_graph.change_state(node, transition), (state, transition)
            assert module_graph.state(node) == state
        if state == "unconfigured":
            assert programs[1].lines("WARN", "asked to activate: not possible in the state unconfigured")


@pytest.mark.parametrize("state", ["unconfigured", "inactive"])
def test_it_shuts_down_a_node_in_any_state(graph: Graph, shipped_map: Path, state: str) -> None:
    program = graph.start("map_server", map=shipped_map, autostart=False)
    manager = Manager(graph, SERVER)
    if state == "inactive":
        assert graph.change_state(SERVER, CONFIGURE)
    assert manager.shutdown()
    assert not manager.shutdown()
    assert not manager.startup()
    assert graph.set_parameter(SERVER, "map", "/another/map").successful
    assert graph.state(SERVER) == "finalized"
    program.stop()
