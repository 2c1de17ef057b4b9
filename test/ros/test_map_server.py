"""The map server: what it publishes, to whom it comes late, and what it refuses."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from nav_msgs.srv import LoadMap
from rcl_interfaces.msg import ParameterType
from sensor_msgs.msg import PointCloud2
from sensor_msgs_py import point_cloud2
from std_msgs.msg import String, UInt8MultiArray
from std_srvs.srv import Trigger
from support.graph import LATCHED, Graph

from vloc_ros.maps import read_map, unpack_map, write_map
from vloc_ros.ros.map_services import load_map_type

NODE = "/vloc_map_server"


@pytest.fixture(scope="module")
def served(module_graph: Graph, shipped_map: Path) -> Graph:
    """A graph with a map server."""
    module_graph.start("map_server", map=shipped_map)
    module_graph.wait_for(lambda: module_graph.is_up("vloc_map_server"))
    return module_graph


def newest_map_id(graph: Graph) -> str:
    with graph.listening(UInt8MultiArray, "/map/data", LATCHED) as data:
        graph.wait_for(lambda: data)
    return unpack_map(bytes(data[-1].data), "map/data").map_id


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        ("/map/manifest", "std_msgs/msg/String"),
        ("/map/landmarks", "sensor_msgs/msg/PointCloud2"),
        ("/map/data", "std_msgs/msg/UInt8MultiArray"),
    ],
)
def test_published_topics_are_reliable_and_transient_local(served: Graph, topic: str, kind: str) -> None:
    assert served.publisher_of(topic) == (kind, True, True)


def test_a_late_subscriber_gets_the_manifest(served: Graph, shipped_map: Path) -> None:
    with served.listening(String, "/map/manifest", LATCHED) as manifests:
        served.wait_for(lambda: manifests)
    assert yaml.safe_load(manifests[0].data) == yaml.safe_load((shipped_map / "map.yaml").read_text())


def test_a_late_subscriber_gets_the_landmarks(served: Graph, shipped_map: Path) -> None:
    with served.listening(PointCloud2, "/map/landmarks", LATCHED) as clouds:
        served.wait_for(lambda: clouds)
    landmarks = read_map(shipped_map).landmark_map
    rows = point_cloud2.read_points(clouds[0])
    assert clouds[0].header.frame_id == "map"
    np.testing.assert_array_equal(rows["id"], landmarks.ids)
    np.testing.assert_allclose(np.column_stack([rows[axis] for axis in "xyz"]), landmarks.positions, atol=1e-5)


def test_a_late_subscriber_gets_the_whole_map(served: Graph, shipped_map: Path) -> None:
    assert newest_map_id(served) == read_map(shipped_map).map_id


def test_another_map_is_published_at_once(served: Graph, shipped_map: Path, annex_map: Path) -> None:
    with served.listening(String, "/map/manifest", LATCHED) as manifests:
        assert served.set_parameter(NODE, "map", str(annex_map)).successful
        served.wait_for(lambda: manifests and yaml.safe_load(manifests[-1].data)["frame_id"] == "annex")
    assert newest_map_id(served) == read_map(annex_map).map_id
    assert served.set_parameter(NODE, "map", str(shipped_map)).successful


def damage(directory: Path) -> None:
    network = directory / "network.onnx"
    network.write_bytes(network.read_bytes()[:-1] + b"!")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "there is no such map directory"),
        (lambda path: path.mkdir(), "map.yaml: missing"),
        (lambda path: path.write_text("x"), "not a directory"),
    ],
    ids=["nothing", "empty", "file"],
)
def test_what_is_no_map_is_refused_and_the_old_one_stays(
    served: Graph, shipped_map: Path, tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    make(tmp_path / "office")
    result = served.set_parameter(NODE, "map", str(tmp_path / "office"))
    assert not result.successful
    assert words in result.reason
    assert served.parameter(NODE, "map") == str(shipped_map)
    assert newest_map_id(served) == read_map(shipped_map).map_id


def test_a_map_of_unknown_scale_is_refused_unless_it_is_asked_for_twice(
    served: Graph, shipped_map: Path, tmp_path: Path
) -> None:
    stored = read_map(shipped_map)
    manifest = replace(stored.landmark_map.manifest, unknown_scale=True)
    unscaled = replace(stored.landmark_map, manifest=manifest)
    write_map(tmp_path / "office", unscaled, stored.networks, np.zeros((2, 2, 3), np.uint8))
    refused = served.set_parameter(NODE, "map", str(tmp_path / "office"))
    assert not refused.successful
    assert "its scale is unknown" in refused.reason
    assert newest_map_id(served) == stored.map_id
    assert served.set_parameter(NODE, "accept_unknown_scale", True).successful
    assert served.set_parameter(NODE, "map", str(tmp_path / "office")).successful
    assert newest_map_id(served) == read_map(tmp_path / "office").map_id
    assert served.set_parameter(NODE, "map", str(shipped_map)).successful
    assert served.set_parameter(NODE, "accept_unknown_scale", False).successful


def test_reload_reads_the_disk_again_or_says_why_not(served: Graph, shipped_map: Path, tmp_path: Path) -> None:
    office = shutil.copytree(shipped_map, tmp_path / "office")
    assert served.set_parameter(NODE, "map", str(office)).successful
    reloaded = served.call(Trigger, f"{NODE}/reload")
    assert reloaded.success
    assert read_map(office).map_id in reloaded.message
    damage(office)
    refused = served.call(Trigger, f"{NODE}/reload")
    assert not refused.success
    assert "network.onnx: damaged" in refused.message
    assert newest_map_id(served) == read_map(shipped_map).map_id
    assert served.set_parameter(NODE, "map", str(shipped_map)).successful


def load_map(graph: Graph, uri: str) -> int:
    kind = load_map_type()
    return int(graph.call(kind, f"{NODE}/load_map", kind.Request(map_url=uri)).result)


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_map_is_loaded_by_its_uri(served: Graph, shipped_map: Path, annex_map: Path, form: str) -> None:
    uri = form.format(annex_map)
    assert load_map(served, uri) == LoadMap.Response.RESULT_SUCCESS
    assert newest_map_id(served) == read_map(annex_map).map_id
    assert served.parameter(NODE, "map") == uri
    assert (
        served.call(Trigger, f"{NODE}/current_map").message == f"{uri}: map {newest_map_id(served)}, annex in 'annex'"
    )
    assert load_map(served, uri) == LoadMap.Response.RESULT_SUCCESS, "again"
    assert load_map(served, str(shipped_map)) == LoadMap.Response.RESULT_SUCCESS


def without_an_end(directory: Path) -> None:
    (directory / "map.yaml").write_text("[")


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (shutil.rmtree, LoadMap.Response.RESULT_MAP_DOES_NOT_EXIST),
        (without_an_end, LoadMap.Response.RESULT_INVALID_MAP_METADATA),
        (lambda directory: (directory / "map.yaml").unlink(), LoadMap.Response.RESULT_INVALID_MAP_METADATA),
        (damage, LoadMap.Response.RESULT_INVALID_MAP_DATA),
    ],
    ids=["missing", "map.yaml", "no map.yaml", "network"],
)
def test_a_map_that_cannot_be_loaded_has_a_code_and_the_old_one_stays(
    served: Graph, shipped_map: Path, tmp_path: Path, spoil: Callable[[Path], None], code: int
) -> None:
    office = shutil.copytree(shipped_map, tmp_path / "office")
    spoil(office)
    assert load_map(served, str(office)) == code
    assert served.parameter(NODE, "map") == str(shipped_map)
    assert served.lines("ERROR", "load_map: ", str(office))
    assert served.call(Trigger, f"{NODE}/current_map").message.startswith(f"{shipped_map}: ")


def test_a_package_that_is_not_there_has_a_code(served: Graph) -> None:
    assert load_map(served, "package://no_such_package/maps/office") == LoadMap.Response.RESULT_MAP_DOES_NOT_EXIST


def test_several_maps_are_listed_and_the_first_one_served(graph: Graph, shipped_map: Path, annex_map: Path) -> None:
    graph.start("map_server", maps=[str(annex_map), str(shipped_map), "/no/such/map"])
    assert newest_map_id(graph) == read_map(annex_map).map_id
    listed = graph.call(Trigger, f"{NODE}/list_maps").message.splitlines()
    assert listed[0] == f"{annex_map}: map {read_map(annex_map).map_id}, annex in 'annex'"
    assert listed[1].startswith(f"{shipped_map}: map {read_map(shipped_map).map_id}, ")
    assert listed[2].startswith("/no/such/map: cannot be read: ")
    assert load_map(graph, str(shipped_map)) == LoadMap.Response.RESULT_SUCCESS
    assert len(graph.call(Trigger, f"{NODE}/list_maps").message.splitlines()) == 3


@pytest.mark.parametrize("name", ["map_server", "relocalizer"])
def test_a_path_that_is_too_long_is_one_line_at_start(graph: Graph, shipped_map: Path, name: str) -> None:
    program = graph.start(name, map="/tmp/" + 300 * "a")
    node = {"map_server": NODE}.get(name, "/relocalizer")
    graph.wait_for(lambda: program.lines("ERROR", "File name too long"))  # not the first half of a line
    assert graph.state(node) == "unconfigured"
    assert len(program.log.splitlines()) == 1, program.log
    assert graph.set_parameter(node, "map", str(shipped_map)).successful
    assert graph.state(node) == "active"
    program.stop()


def test_its_parameters_are_described(served: Graph) -> None:
    autostart, chosen = served.describe_parameters(NODE, ["autostart", "map"])
    assert (autostart.type, chosen.type) == (ParameterType.PARAMETER_BOOL, ParameterType.PARAMETER_STRING)
    assert autostart.description
    assert chosen.description
    assert not served.set_parameter(NODE, "autostart", False).successful


def test_without_a_map_it_waits_for_one(graph: Graph, shipped_map: Path) -> None:
    program = graph.start("map_server")
    graph.wait_for(lambda: "parameter map is empty" in program.log)
    assert graph.state(NODE) == "unconfigured"
    assert graph.set_parameter(NODE, "map", str(shipped_map)).successful
    assert newest_map_id(graph) == read_map(shipped_map).map_id
    assert graph.state(NODE) == "active"
    program.stop()


def test_a_path_that_does_not_exist_is_said_and_may_be_put_right(graph: Graph, shipped_map: Path) -> None:
    program = graph.start("map_server", map="/there/is/no/such/map")
    graph.wait_for(lambda: program.lines("ERROR", "/there/is/no/such/map"))
    assert graph.set_parameter(NODE, "map", str(shipped_map)).successful
    assert newest_map_id(graph) == read_map(shipped_map).map_id
    program.stop()
