"""The launch files, loaded and carried out as far as the commands of the nodes; nothing is started."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

# `launch` itself could be found where it is missing: this project has a folder of that name.
from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, ExecuteLocal, TimerAction
from launch.launch_description_sources import get_launch_description_from_python_launch_file
from launch_ros.actions import Node, PushROSNamespace
from support import ROOT

RELOCALIZE = {
    "map",
    "image",
    "camera_info",
    "cameras",
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
    "one_process",
    "rviz",
    "relocalizer_config",
    "map_server_config",
}


PROGRAMS = (
    "vloc_ros/map_server",
    "vloc_ros/relocalizer",
    "vloc_ros/localization",
    "rviz2/rviz2",
    "nav2_lifecycle_manager/lifecycle_manager",
    "nav2_map_server/map_server",
)
# Nav2's launch files with the arguments that they declare in the branch jazzy, and one node.
NAV2_STAND_IN = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from pathlib import Path

NAMES = ["namespace", "use_sim_time", "params_file", "autostart", "use_composition", "container_name", "use_respawn"]
localization = Path(__file__).name == "localization_launch.py"
said = {name: LaunchConfiguration(name) for name in ["params_file", "use_sim_time", *(["map"] if localization else [])]}


def generate_launch_description():
    names = [*NAMES, "log_level", *(["map"] if localization else [])]
    node = Node(package="nav2_map_server", executable="map_server", name=Path(__file__).stem, parameters=[said])
    return LaunchDescription([*(DeclareLaunchArgument(name, default_value="") for name in names), node])
"""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An install space with what the launch files look for in the package's share directory."""
    share = tmp_path / "share"
    (share / "ament_index/resource_index/packages").mkdir(parents=True)
    for package in ("vloc_ros", "rviz2", "nav2_bringup", "nav2_lifecycle_manager", "nav2_map_server"):
        (share / f"ament_index/resource_index/packages/{package}").touch()
    for folder in ("launch", "config"):
        shutil.copytree(ROOT / folder, share / "vloc_ros" / folder)
    for name in ("localization_launch.py", "navigation_launch.py"):
        stand_in = share / "nav2_bringup/launch" / name
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        stand_in.write_text(NAV2_STAND_IN)
    for program in PROGRAMS:
        path = tmp_path / "lib" / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
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
        for child in entity.actions if isinstance(entity, TimerAction) else entity.visit(context) or []:
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
        for name, content in yaml.full_load(Path(path).read_text()).items():  # launch_ros writes lists as tuples
            if name in ("/**", node.node_name, f"/**/{node.node_name.rpartition('/')[2]}"):
                merged.update(content["ros__parameters"])
    return merged


def remappings(node: Any) -> dict[str, str]:
    return dict(node.expanded_remapping_rules or [])


def names(found: list[Any]) -> list[str]:
    return [node.node_name.replace("<node_namespace_unspecified>", "") for node in found if isinstance(node, Node)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relocalize.launch.py", RELOCALIZE),
        ("replay_bag.launch.py", RELOCALIZE | {"bag", "rate", "loop", "delay"}),
        ("nav2.launch.py", RELOCALIZE | {"grid", "amcl", "nav2_params"}),
    ],
)
def test_every_argument_is_described_and_few_are_required(name: str, expected: set[str]) -> None:
    arguments: list[DeclareLaunchArgument] = load(name).get_launch_arguments()
    assert {argument.name for argument in arguments} == expected
    for argument in arguments:
        assert argument.description
        assert (argument.default_value is None) == (argument.name in ("bag", "grid"))


def shown_default(name: str, argument: str) -> str:
    """As `ros2 launch -s` shows it."""
    declared = {found.name: found for found in load(name).get_launch_arguments()}
    return "".join(part.perform(LaunchContext()) for part in declared[argument].default_value)


def test_the_default_that_is_shown_is_the_one_that_is_used() -> None:
    assert shown_default("replay_bag.launch.py", "use_sim_time") == "true"
    assert shown_default("relocalize.launch.py", "use_sim_time") == "false"
    assert shown_default("nav2.launch.py", "relocalizer_config").endswith("config/nav2.yaml")


def run(name: str, **arguments: str) -> tuple[int, list[str]]:
    """The exit code of the launch, and what it logged as errors."""
    code = (
        "import sys; from launch import LaunchDescription, LaunchService; from launch.actions import *\n"
        "from launch.launch_description_sources import PythonLaunchDescriptionSource\n"
        "given = [word.split(':=') for word in sys.argv[2:]]\n"
        "service = LaunchService(noninteractive=True)\n"
        "included = IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=given)\n"
        "service.include_launch_description(LaunchDescription([included])); sys.exit(service.run())"
    )
    launch_file = Path(get_package_share_directory("vloc_ros")) / "launch" / name
    words = [f"{key}:={value}" for key, value in arguments.items()]
    command = [sys.executable, "-c", code, str(launch_file), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]


def without(package: str) -> None:
    """As if it was not installed."""
    prefix = Path(get_package_prefix(package))
    (prefix / "share/ament_index/resource_index/packages" / package).unlink()


def test_without_rviz_nothing_is_started(tmp_path: Path) -> None:
    without("rviz2")
    for name, arguments in (("relocalize.launch.py", {}), ("replay_bag.launch.py", {"bag": "/bags/b", "delay": "0"})):
        code, errors = run(name, map="/maps/office", rviz="true", **arguments)
        assert code == 1
        (error,) = errors
        assert "rviz:=true: the package rviz2 is not installed" in error
    assert not (tmp_path / "started").exists()
    assert run("relocalize.launch.py", map="/maps/office") == (0, [])
    assert (tmp_path / "started").exists()


@pytest.mark.parametrize("delay", ["-1", "nan", "inf", "soon"])
def test_a_delay_that_cannot_be_is_refused_before_anything_starts(tmp_path: Path, delay: str) -> None:
    code, (error,) = run("replay_bag.launch.py", bag="/bags/b", delay=delay)
    assert code == 1
    assert f"delay:={delay}: must be a number of seconds, 0 or more" in error
    assert not (tmp_path / "started").exists()


def test_map_server_and_relocalizer_are_started() -> None:
    server, relocalizer = processes("relocalize.launch.py", map="/maps/office")
    assert names([server, relocalizer]) == ["/vloc_map_server", "/relocalizer"]
    assert parameters(server)["map"] == "/maps/office"
    assert parameters(relocalizer)["map"] == "", "it takes the map server's"


def test_both_nodes_in_one_process_have_the_map_of_one() -> None:
    (both,) = processes("relocalize.launch.py", map="/maps/office", one_process="true", map_server_name="maps")
    files = [Path(path) for path, is_file in both._Node__expanded_parameter_arguments if is_file]
    assert yaml.safe_load(files[-1].read_text()) == {"/**/maps": {"ros__parameters": {"map": "/maps/office"}}}
    assert all("/maps/office" not in path.read_text() for path in files[:-1])
    assert names(processes("relocalize.launch.py", one_process="true")) == ["/relocalizer"], "somebody else has the map"


def test_without_a_map_somebody_else_serves_it() -> None:
    assert names(processes("relocalize.launch.py")) == ["/relocalizer"]


def test_arguments_reach_the_nodes() -> None:
    given = {"tf_mode": "map_to_base", "backend": "onnxruntime", "base_frame": "base", "image_transport": "compressed"}
    topics = {"image": "/cam/image", "camera_info": "/cam/info"}
    (relocalizer,) = processes("relocalize.launch.py", **given, **topics, use_sim_time="true", log_level="debug")
    defaults = yaml.safe_load((ROOT / "config/relocalizer.yaml").read_text())["/**"]["ros__parameters"]
    assert parameters(relocalizer) == {**defaults, **given, "use_sim_time": True}
    assert remappings(relocalizer) == topics


def test_several_cameras_have_topics_below_their_names() -> None:
    (relocalizer,) = processes("relocalize.launch.py", cameras="front left", image="image_raw")
    assert list(parameters(relocalizer)["cameras"]) == ["front", "left"]
    assert remappings(relocalizer) == {
        "front/image": "front/image_raw",
        "front/camera_info": "front/camera_info",
        "left/image": "left/image_raw",
        "left/camera_info": "left/camera_info",
    }


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
@pytest.mark.parametrize("delay", ["0", "0.0", "2.5"])
def test_a_bag_is_played_with_its_clock(loop: str, delay: str) -> None:
    given = {"bag": "/bags/b", "map": "/m", "rate": "0.5", "loop": loop, "delay": delay}
    server, relocalizer, player = processes("replay_bag.launch.py", **given)
    assert names([server, relocalizer]) == ["/vloc_map_server", "/relocalizer"]
    assert parameters(relocalizer)["use_sim_time"] is parameters(server)["use_sim_time"] is True
    context = LaunchContext()
    context.launch_configurations.update({"bag": "/bags/b", "rate": "0.5"})
    command = ["".join(part.perform(context) for part in parts) for parts in player.cmd]
    assert command[:4] == ["ros2", "bag", "play", "/bags/b"]
    assert "--clock" in command
    assert command[command.index("--rate") + 1] == "0.5"
    assert ("--loop" in command) == (loop == "true")
    assert "--delay" not in command, "it refuses 0, and waits before each loop"


@pytest.mark.parametrize(("amcl", "grid_server"), [("true", "/localization_launch"), ("false", "/map_server")])
def test_nav2_and_these_nodes_are_brought_up_together(amcl: str, grid_server: str) -> None:
    given = {"map": "/maps/office", "grid": "/maps/office.yaml", "amcl": amcl, "use_sim_time": "true"}
    found = processes("nav2.launch.py", **given)
    ours = ["/vloc_map_server", "/relocalizer"]
    assert names(found) == [*ours, grid_server, "/lifecycle_manager_vloc", "/navigation_launch"]
    server, relocalizer, grid, manager, navigation = found
    for node in (server, relocalizer):
        assert parameters(node)["autostart"] is False, "the manager starts it"
    assert parameters(relocalizer)["tf_mode"] == ("none" if amcl == "true" else "map_to_odom")
    assert parameters(relocalizer)["publish_initialpose"] is True
    assert parameters(grid)["map" if amcl == "true" else "yaml_filename"] == "/maps/office.yaml"
    assert parameters(manager)["bond_timeout"] == 0.0
    managed = [name.removeprefix("/") for name in ours]
    assert parameters(manager)["node_names"] == tuple(managed if amcl == "true" else ["map_server", *managed])
    assert str(parameters(navigation)["params_file"]).endswith("nav2_bringup/params/nav2_params.yaml")


@pytest.mark.parametrize("one_process", ["true", "false"])
def test_the_relocalizer_itself_reads_a_building(tmp_path: Path, one_process: str) -> None:
    house = tmp_path / "house"
    house.mkdir()
    (house / "building.json").touch()
    found = processes("relocalize.launch.py", map=house.as_uri(), one_process=one_process)
    assert names(found) == ["/relocalizer"]
    assert parameters(found[0])["map"] == house.as_uri()


def test_nav2_in_a_namespace() -> None:
    found = processes("nav2.launch.py", map="/m", grid="/g", namespace="robot1", relocalizer_name="eyes")
    assert all(name.startswith("/robot1/") for name in names(found))
    assert parameters(found[3])["node_names"] == ("map_server", "vloc_map_server", "eyes")


def test_without_nav2_nothing_is_started() -> None:
    for package in ("nav2_lifecycle_manager", "nav2_bringup"):
        without(package)
        with pytest.raises(PackageNotFoundError, match=package):
            load("nav2.launch.py")
