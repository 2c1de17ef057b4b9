"""The policy for SROS 2 allows what the nodes make and nothing else."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support import ROOT
from support.graph import Graph

POLICY = ROOT / "config/sros2/policy.xml"
MADE = {  # what a profile allows, and how a graph is asked for it
    "topics publish": "get_publisher_names_and_types_by_node",
    "topics subscribe": "get_subscriber_names_and_types_by_node",
    "services reply": "get_service_names_and_types_by_node",
    "services request": "get_client_names_and_types_by_node",
}
NODES = ("vloc_map_server", "relocalizer", "_relocalizer_tf")
PARTS = {"topics", "services"}


def profiles() -> Iterator[ET.Element]:
    yield from ET.parse(POLICY).getroot().iter("profile")


def allowed(profile: ET.Element) -> Mapping[str, set[str]]:
    """Full names by what may be done with them."""
    namespace, node = profile.attrib["ns"].rstrip("/"), profile.attrib["node"]
    found: dict[str, set[str]] = {kind: set() for kind in MADE}
    for part in profile:
        (way,) = part.attrib
        assert part.attrib[way] == "ALLOW"
        for entry in part:
            name = (entry.text or "").replace("~", f"{namespace}/{node}")
            found[f"{part.tag} {way}"].add(name if name.startswith("/") else f"{namespace}/{name}")
    return found


@pytest.fixture(scope="module")
def running(module_graph: Graph, shipped_map: Path) -> Graph:
    """Both nodes with their default parameters, one serving the map of the other."""
    module_graph.start("map_server", map=shipped_map)
    module_graph.start("relocalizer", threads=1)
    module_graph.wait_for(lambda: module_graph.lines("INFO", "using map"), "the map")
    return module_graph


@pytest.mark.parametrize("node", NODES)
def test_a_profile_is_what_the_node_makes(running: Graph, node: str) -> None:
    (profile,) = (each for each in profiles() if each.attrib["node"] == node)

    def made(kind: str) -> set[str]:
        return {name for name, _ in getattr(running.node, MADE[kind])(node, "/")}

    expected = allowed(profile)
    running.wait_for(lambda: all(names <= made(kind) for kind, names in expected.items()), f"{node}: {expected}")
    assert {kind: made(kind) for kind in MADE} == expected


def test_no_node_is_without_a_profile(running: Graph) -> None:
    found = {name for name, _ in running.node.get_node_names_and_namespaces()} - {running.node.get_name()}
    assert found == set(NODES)


def test_the_nodes_have_no_actions() -> None:
    assert {part.tag for profile in profiles() for part in profile} == PARTS


def test_whoever_is_no_node_asks_for_what_there_is_and_sets_no_parameters() -> None:
    offered = set[str]().union(*(allowed(p)["services reply"] for p in profiles()))
    for profile in profiles():
        if profile.attrib["node"] not in NODES:
            asked = allowed(profile)["services request"]
            assert asked <= offered
            assert not any("set_parameters" in name or "change_state" in name for name in asked)
