"""The configuration files and docs/ros.md say the same as vloc_ros/ros/parameters/."""

import re
from dataclasses import fields
from typing import Any

import pytest
import yaml
from support import ROOT

from vloc_ros.core.types import RejectionReason
from vloc_ros.ros import describe_parameters
from vloc_ros.ros.parameters import MapServerParameters, NodeParameters, RelocalizerParameters, build_parameters
from vloc_ros.tracking.state import State

NODES = {"vloc_map_server": MapServerParameters, "relocalizer": RelocalizerParameters}
FILES = {"vloc_map_server": "config/map_server.yaml", "relocalizer": "config/relocalizer.yaml"}


def defaults(kind: type[NodeParameters]) -> dict[str, Any]:
    """As YAML has them."""
    values: dict[str, Any] = {spec.name: spec.default for spec in fields(kind)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@pytest.mark.parametrize("node", NODES)
def test_yaml_holds_every_parameter_at_its_default(node: str) -> None:
    content = yaml.safe_load((ROOT / FILES[node]).read_text())
    assert list(content) == ["/**"], "must hold in every namespace"
    assert list(content["/**"]) == ["ros__parameters"]
    values = content["/**"]["ros__parameters"]
    assert values == defaults(NODES[node])
    assert {name: type(value) for name, value in values.items()} == {
        name: type(value) for name, value in defaults(NODES[node]).items()
    }
    build_parameters(NODES[node], values)


@pytest.mark.parametrize("node", NODES)
def test_every_parameter_is_commented(node: str) -> None:
    commented = False
    for line in (ROOT / FILES[node]).read_text().split("ros__parameters:\n")[1].splitlines():
        assert line.startswith("    #") or commented or not line, f"{line.strip()} has no comment"
        commented = bool(line)  # parameters that belong together share one


def test_comments_and_tables_are_those_of_the_parameters() -> None:
    stale = [str(path) for path, _ in describe_parameters.stale()]
    assert not stale, "run python -m vloc_ros.ros.describe_parameters"


@pytest.mark.parametrize("node", NODES)
def test_a_page_says_all_there_is_to_say_of_each_parameter(node: str) -> None:
    tables = [
        page.read_text() for page in (ROOT / "docs").rglob("*.md") if f"parameters: {node} -->" in page.read_text()
    ]
    (page,) = tables
    rows = page.split(f"<!-- parameters: {node} -->\n")[1].split("<!-- end")[0].splitlines()[2:]
    for row, spec in zip(rows, fields(NODES[node]), strict=True):
        assert row.startswith(f"| `{spec.name}` | ")
        assert spec.metadata["description"] in row
        assert ("(fixed) " in row) == (not spec.metadata["live"])
        assert all(choice in row for choice in spec.metadata["choices"])
        assert spec.metadata["low"] is None or f"{spec.metadata['low']:g}" in row
        assert not spec.metadata["unit"] or f" {spec.metadata['unit']} |" in row


def test_a_table_that_says_something_else_is_noticed_and_mended() -> None:
    page = (ROOT / "docs/ros.md").read_text()
    changed = page.replace("| `max_jump_m` | `0.5` |", "| `max_jump_m` | `0.6` |")
    assert changed != page
    assert describe_parameters.described(changed) == page
    assert describe_parameters.described("no table") == "no table"


@pytest.mark.parametrize("node", NODES)
def test_documentation_lists_every_parameter_with_its_default(node: str) -> None:
    page = (ROOT / "docs/ros.md").read_text()
    section = page.split(f"\n### `{node}`\n")[1].split("\n#")[0]
    documented = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", section, re.MULTILINE))
    assert {name: yaml.safe_load(value) for name, value in documented.items()} == defaults(NODES[node])


def test_the_parameters_for_nav2_are_parameters() -> None:
    content = yaml.safe_load((ROOT / "config/nav2.yaml").read_text())
    nodes = {"/**/vloc_map_server": MapServerParameters, "/**/relocalizer": RelocalizerParameters}
    assert set(content) == {*nodes, "/**/lifecycle_manager_vloc"}
    for name, kind in nodes.items():
        parameters: Any = build_parameters(kind, content[name]["ros__parameters"])
        assert not parameters.autostart, "the manager starts it"
    assert content["/**/lifecycle_manager_vloc"]["ros__parameters"] == {"autostart": True, "bond_timeout": 0.0}


def test_documentation_lists_every_state_and_rejection() -> None:
    page = (ROOT / "docs/ros.md").read_text()
    assert all(f"`{value.value}`" in page for value in (*State, *RejectionReason))
