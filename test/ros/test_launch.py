"""The launch files, loaded and carried out as far as the commands of the nodes; nothing is started."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

# `launch` itself could be found where it is missing: this project has a folder of that name.
pytest.importorskip("launch_ros", reason="the real launch and launch_ros are needed, of a ROS 2 distribution")

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, ExecuteLocal
from launch.launch_description_sources import get_launch_description_from_python_launch_file
from launch_ros.actions import Node, PushROSNamespace

ROOT = Path(__file__).resolve().parents[2]
RELOCALIZE = {
    "map",
    "image",
    "camera_info",
    "image_transport",
    "base_frame",
    "tf_mode",
    "backend",
    "relocalizer_name",
    "map_server_name",
    "namespace",
    "namespaced_tf",
    "use_sim_time",
    "log_level",
    "rviz",
    "relocalizer_config",
    "map_server_config",
}


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An install space with what the launch files look for in the package's share directory."""
    share = tmp_path / "share"
    (share / "ament_index/resource_index/packages").mkdir(parents=True)
    for package in ("vloc_ros", "rviz2"):
        (share / f"ament_index/resource_index/packages/{package}").touch()
    for folder in ("launch", "config"):
        shutil.copytree(ROOT / folder, share / "vloc_ros" / folder)
    for program in ("vloc_ros/map_server", "vloc_ros/relocalizer", "rviz2/rviz2"):
        path = tmp_path / "lib" / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    return share / "vloc_ros"


def load(name: str) -> LaunchDescription:
    launch_file = Path(get_package_share_directory("vloc_ros")) / "launch" / name
    return get_launch_description_from_python_launch_file(str(launch_file))


def processes(name: str, *, pushed_namespace: str = "", **arguments: str) -> list[ExecuteLocal]:
    """The processes that a launch file would start, in order, each with its command worked out."""
    context = LaunchContext(noninteractive=True)
    context.launch_configurations.update(arguments)
    found: list[ExecuteLocal] = []

    def visit(entity: LaunchDescriptionEntity) -> None:
        if isinstance(entity, ExecuteLocal):
            if entity.condition is None or entity.condition.evaluate(context):
                if isinstance(entity, Node):
                    entity._perform_substitutions(context)
                found.append(entity)
            return
        for child in entity.visit(context) or []:
            visit(child)

    if pushed_namespace:
        visit(PushROSNamespace(pushed_namespace))
    visit(load(name))
    return found


def parameters(node: Any) -> dict[str, Any]:
    """What the node's parameter files say together, the last one winning, as in rcl."""
    merged: dict[str, Any] = {}
    for path, is_file in node._Node__expanded_parameter_arguments:
        assert is_file
        for content in yaml.safe_load(Path(path).read_text()).values():
            merged.update(content["ros__parameters"])
    return merged


def remappings(node: Any) -> dict[str, str]:
    return dict(node.expanded_remapping_rules or [])


def names(found: list[Any]) -> list[str]:
    return [node.node_name for node in found if isinstance(node, Node)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relocalize.launch.py", RELOCALIZE),
        ("replay_bag.launch.py", RELOCALIZE | {"bag", "rate", "loop", "delay"}),
    ],
)
def test_every_argument_is_described_and_only_the_bag_is_required(name: str, expected: set[str]) -> None:
    arguments: list[DeclareLaunchArgument] = load(name).get_launch_arguments()
    assert {argument.name for argument in arguments} == expected
    for argument in arguments:
        assert argument.description
        assert (argument.default_value is None) == (argument.name == "bag")


def test_map_server_and_relocalizer_are_started() -> None:
    server, relocalizer = processes("relocalize.launch.py", map="/maps/office")
    assert names([server, relocalizer]) == ["/vloc_map_server", "/relocalizer"]
    assert parameters(server)["map"] == "/maps/office"
    assert parameters(relocalizer)["map"] == "", "it takes the map server's"


def test_without_a_map_somebody_else_serves_it() -> None:
    assert names(processes("relocalize.launch.py")) == ["/relocalizer"]


def test_arguments_reach_the_nodes() -> None:
    given = {"tf_mode": "map_to_base", "backend": "onnxruntime", "base_frame": "base", "image_transport": "compressed"}
    topics = {"image": "/cam/image", "camera_info": "/cam/info"}
    (relocalizer,) = processes("relocalize.launch.py", **given, **topics, use_sim_time="true", log_level="debug")
    defaults = yaml.safe_load((ROOT / "config/relocalizer.yaml").read_text())["/**"]["ros__parameters"]
    assert parameters(relocalizer) == {**defaults, **given, "use_sim_time": True}
    assert remappings(relocalizer) == topics


def test_what_is_not_given_stays_as_configured(tmp_path: Path) -> None:
    config = tmp_path / "own.yaml"
    config.write_text("/**: {ros__parameters: {tf_mode: none, max_jump_m: 2.0}}")
    (relocalizer,) = processes("relocalize.launch.py", relocalizer_config=str(config))
    assert parameters(relocalizer) == {"tf_mode": "none", "max_jump_m": 2.0, "use_sim_time": False}


def test_a_map_may_have_a_number_for_a_name() -> None:
    assert parameters(processes("relocalize.launch.py", map="12")[0])["map"] == "12"


def test_namespaces_come_from_the_argument_and_from_outside() -> None:
    found = processes("relocalize.launch.py", map="/maps/office", namespace="left", pushed_namespace="robot1")
    assert names(found) == ["/robot1/left/vloc_map_server", "/robot1/left/relocalizer"]


def test_nodes_may_have_other_names() -> None:
    own = {"map_server_name": "visual_map", "relocalizer_name": "locator"}
    server, relocalizer, rviz = processes("relocalize.launch.py", map="/maps/office", rviz="true", **own)
    assert names([server, relocalizer]) == ["/visual_map", "/locator"]
    assert parameters(server)["map"] == "/maps/office"
    assert remappings(rviz)["relocalizer/pose"] == "locator/pose"


def test_tf_of_a_namespace() -> None:
    server, relocalizer = processes("relocalize.launch.py", map="/m", namespace="robot1", namespaced_tf="true")
    for node in (server, relocalizer):
        assert remappings(node).items() >= {"/tf": "tf", "/tf_static": "tf_static"}.items()


def test_rviz_on_request(installed: Path) -> None:
    *_, rviz = processes("relocalize.launch.py", rviz="true", namespace="robot1")
    assert isinstance(rviz, Node)
    assert rviz.node_package == "rviz2"
    assert (installed / "config/vloc.rviz").is_file()


@pytest.mark.parametrize("loop", ["true", "false"])
def test_a_bag_is_played_with_its_clock(loop: str) -> None:
    server, relocalizer, player = processes("replay_bag.launch.py", bag="/bags/b", map="/m", rate="0.5", loop=loop)
    assert names([server, relocalizer]) == ["/vloc_map_server", "/relocalizer"]
    assert parameters(relocalizer)["use_sim_time"] is parameters(server)["use_sim_time"] is True
    context = LaunchContext()
    context.launch_configurations.update({"bag": "/bags/b", "rate": "0.5", "delay": "5.0"})
    command = ["".join(part.perform(context) for part in parts) for parts in player.cmd]
    assert command[:4] == ["ros2", "bag", "play", "/bags/b"]
    assert "--clock" in command
    assert command[command.index("--rate") + 1] == "0.5"
    assert ("--loop" in command) == (loop == "true")
