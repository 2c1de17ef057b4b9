"""RViz and Foxglove are set up for what the nodes publish: names, types, quality of service, fields."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticStatus
from support import ROOT
from support.graph import LATCHED, Graph

CONFIG = ROOT / "config"
RVIZ = yaml.safe_load((CONFIG / "vloc.rviz").read_text())["Visualization Manager"]
FOXGLOVE = json.loads((CONFIG / "foxglove_layout.json").read_text())
# What each display of RViz subscribes to, and what each panel of Foxglove can show.
DISPLAYS = {
    "PointCloud2": "sensor_msgs/msg/PointCloud2",
    "Marker": "visualization_msgs/msg/Marker",
    "PoseWithCovariance": "geometry_msgs/msg/PoseWithCovarianceStamped",
    "Image": "sensor_msgs/msg/Image",
}
IN_3D = {DISPLAYS["PointCloud2"], DISPLAYS["Marker"], DISPLAYS["PoseWithCovariance"]}
WITHOUT_TOPIC = {"Grid", "TF"}


@pytest.fixture(scope="module")
def running(module_graph: Graph, shipped_map: Path) -> Graph:
    """A graph with both nodes."""
    for program, node in (("map_server", "vloc_map_server"), ("relocalizer", "relocalizer")):
        module_graph.start(program, map=shipped_map)
        module_graph.wait_for(lambda node=node: module_graph.is_up(node))  # type: ignore[misc]
    return module_graph


def kind_of(display: dict[str, Any]) -> str:
    return str(display["Class"]).removeprefix("rviz_default_plugins/")


def panels(kind: str) -> list[dict[str, Any]]:
    """The settings of the panels of a kind."""
    return [panel for name, panel in FOXGLOVE["configById"].items() if name.partition("!")[0] == kind]


def paths() -> list[str]:
    """Everything in the Foxglove layout that reads a message: TOPIC, or TOPIC.FIELD.FIELD."""
    plotted = [path["value"] for kind in ("Plot", "StateTransitions") for p in panels(kind) for path in p["paths"]]
    return [*plotted, *(panel["topicPath"] for panel in panels("RawMessages"))]


def type_at(msgtype: str, fields: list[str]) -> str:
    """The type of a field of a field ... of a message; `[:]{...}` goes into the items of an array."""
    for field in fields:
        name, _, items = field.partition("[")
        package, message = msgtype.replace("/msg", "").split("/")
        msgtype = getattr(import_module(f"{package}.msg"), message).get_fields_and_field_types()[name]
        if items:
            msgtype = msgtype.removeprefix("sequence<").removesuffix(">")
    return msgtype


def shown_in_rviz() -> list[dict[str, Any]]:
    return [display for display in RVIZ["Displays"] if kind_of(display) not in WITHOUT_TOPIC]


@pytest.mark.parametrize("display", shown_in_rviz(), ids=lambda display: display["Topic"]["Value"])
def test_rviz_asks_for_what_is_offered(running: Graph, display: dict[str, Any]) -> None:
    wanted = display["Topic"]
    msgtype, is_reliable, is_latched = running.publisher_of(f"/{wanted['Value']}")
    assert msgtype == DISPLAYS[kind_of(display)]
    assert is_reliable or wanted["Reliability Policy"] == "Best Effort"
    assert wanted["Durability Policy"] == ("Transient Local" if is_latched else "Volatile")  # or it comes late


def test_rviz_begins_in_the_frame_of_the_maps() -> None:
    assert RVIZ["Global Options"]["Fixed Frame"] == "map"
    assert {kind_of(display) for display in RVIZ["Displays"]} == {*DISPLAYS, *WITHOUT_TOPIC}


def test_foxglove_shows_topics_of_the_right_types(running: Graph) -> None:
    (scene,), (picture,), (diagnostics,) = panels("3D"), panels("Image"), panels("DiagnosticSummary")
    assert {running.publisher_of(topic)[0] for topic in scene["topics"]} == IN_3D
    assert running.publisher_of(picture["imageMode"]["imageTopic"])[0] == DISPLAYS["Image"]
    ends = running.node.get_publishers_info_by_topic(diagnostics["topicToRender"])
    assert {end.topic_type for end in ends} == {"diagnostic_msgs/msg/DiagnosticArray"}


def test_both_show_the_same_in_3d() -> None:
    (scene,) = panels("3D")
    rviz = {f"/{display['Topic']['Value']}" for display in shown_in_rviz() if kind_of(display) != "Image"}
    assert rviz == scene["topics"].keys()


@pytest.mark.parametrize("path", paths())
def test_foxglove_reads_fields_that_exist(running: Graph, path: str) -> None:
    topic, *fields = path.split(".")
    found = type_at(running.publisher_of(topic)[0], fields)
    assert not fields or found in ("double", "string")


def test_foxglove_picks_values_that_the_status_has(running: Graph) -> None:
    keys = re.findall(r'\{key=="(\w+)"\}', " ".join(paths()))

    with running.listening(DiagnosticStatus, "/relocalizer/status", LATCHED) as statuses:
        running.wait_for(lambda: statuses)
    assert set(keys) <= {pair.key for pair in statuses[0].values}
    assert keys


def test_every_panel_of_the_layout_is_set_up() -> None:
    placed = re.findall(r'"(?:first|second)": "([^"]+)"', json.dumps(FOXGLOVE["layout"]))
    assert sorted(placed) == sorted(FOXGLOVE["configById"])
