"""Map server and relocalizer: `ros2 launch vloc_ros relocalize.launch.py map:=DIRECTORY image:=TOPIC`."""

from pathlib import Path
from tempfile import NamedTemporaryFile

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from vloc_ros.errors import ConfigError
from vloc_ros.maps.building import is_building
from vloc_ros.ros.node import resolve_map

SHARE = Path(get_package_share_directory("vloc_ros"))
SHOWN = ("pose", "inliers", "frustum", "debug_image")  # by RViz
CAMERA_TOPICS = ("image", "camera_info")
ARGUMENTS = {
    "map": (
        "",
        "Map or building: a path, or package://PACKAGE/PATH. Empty: a map server that runs elsewhere has it.",
    ),
    "image": ("image", "Topic of the camera's images."),
    "camera_info": ("camera_info", "Topic of the camera's calibration."),
    "cameras": ("", 'Several cameras, by name: "front left". `image` and `camera_info` are then below each name.'),
    "image_transport": ("", "raw, or compressed: then on `image`/compressed. Empty: as in relocalizer_config."),
    "base_frame": ("", "The robot's frame. Empty: as in relocalizer_config."),
    "tf_mode": ("", "map_to_odom, map_to_base, map_to_camera or none. Empty: as in relocalizer_config."),
    "backend": ("", "What runs the network. Empty: as in relocalizer_config."),
    "relocalizer_name": ("relocalizer", "Name of the relocalizer's node."),
    "map_server_name": ("vloc_map_server", "Name of the map server's node; Nav2 has a node map_server."),
    "namespace": ("", "Namespace of the nodes, and of all names here that do not begin with a slash."),
    "namespaced_tf": ("false", "Use tf and tf_static of the namespace, not /tf and /tf_static."),
    "use_sim_time": ("false", "Take the time from /clock: simulators and bags."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
    "one_process": ("false", "Map server and relocalizer in one process: the map is not sent to it through DDS."),
    "rviz": ("false", "Start RViz, too."),
    "relocalizer_config": (str(SHARE / "config/relocalizer.yaml"), "Parameters of the relocalizer."),
    "map_server_config": (str(SHARE / "config/map_server.yaml"), "Parameters of the map server."),
}


def generate_launch_description() -> LaunchDescription:
    """The arguments, and the nodes that follow from them."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Node]:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    wants_rviz = IfCondition(LaunchConfiguration("rviz")).evaluate(context)
    if wants_rviz:
        _check_rviz()
    namespaced_tf = IfCondition(LaunchConfiguration("namespaced_tf")).evaluate(context)
    tf_topics = [("/tf", "tf"), ("/tf_static", "tf_static")] if namespaced_tf else []
    sim_time = {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}

    cameras = given["cameras"].split()
    of_cameras = [(f"{camera}/{name}", f"{camera}/{given[name]}") for camera in cameras for name in CAMERA_TOPICS]

    def chosen(arguments: tuple[str, ...], **more: list[str]) -> dict[str, ParameterValue | list[str]]:
        # What is not given here stays as the configuration file has it.
        texts = {name: ParameterValue(given[name], value_type=str) for name in arguments if given[name]}
        return {**sim_time, **texts, **{name: value for name, value in more.items() if value}}

    def node(name: str, parameters: dict[str, ParameterValue | list[str]], topics: list[tuple[str, str]]) -> Node:
        return Node(
            package="vloc_ros",
            executable=name,
            name=given[f"{name}_name"],
            namespace=given["namespace"],
            parameters=[given[f"{name}_config"], parameters],
            remappings=[*tf_topics, *topics],
            ros_arguments=["--log-level", given["log_level"]],
            output="screen",
        )

    settings = chosen(("image_transport", "base_frame", "tf_mode", "backend"), cameras=cameras)
    topics = of_cameras or [(topic, given[topic]) for topic in CAMERA_TOPICS]
    rviz = [_rviz(given, sim_time, tf_topics)] if wants_rviz else []
    if _is_building(given["map"]):  # which is too large to be sent: the relocalizer reads it
        settings["map"] = ParameterValue(given["map"], value_type=str)
        return [node("relocalizer", settings, topics), *rviz]
    # The relocalizer gets its map from the map server, so that both have the same one.
    if given["map"] and IfCondition(LaunchConfiguration("one_process")).evaluate(context):
        return [_one_process(given, settings, [*tf_topics, *topics]), *rviz]
    server = [node("map_server", chosen(("map",)), [])] if given["map"] else []
    return [*server, node("relocalizer", settings, topics), *rviz]


def _is_building(uri: str) -> bool:
    try:
        return is_building(resolve_map(uri))
    except ConfigError:  # a package that is not there, as the node will say
        return False


def _one_process(
    given: dict[str, str], parameters: dict[str, ParameterValue | list[str]], topics: list[tuple[str, str]]
) -> Node:
    """Both nodes, each of which takes of the parameters those that it has; the map is the map server's alone."""
    with NamedTemporaryFile("w", prefix="vloc_map_", suffix=".yaml", delete=False) as of_server:
        yaml.safe_dump({f"/**/{given['map_server_name']}": {"ros__parameters": {"map": given["map"]}}}, of_server)
    names = [
        (default, given[f"{default.removeprefix('vloc_')}_name"]) for default in ("vloc_map_server", "relocalizer")
    ]
    return Node(
        package="vloc_ros",
        executable="localization",
        namespace=given["namespace"],
        parameters=[given["relocalizer_config"], given["map_server_config"], parameters, of_server.name],
        remappings=topics,
        ros_arguments=[
            *("--log-level", given["log_level"]),
            *(word for default, name in names for word in ("-r", f"{default}:__node:={name}")),
        ],
        output="screen",
    )


def _rviz(given: dict[str, str], sim_time: dict[str, ParameterValue], tf_topics: list[tuple[str, str]]) -> Node:
    # config/vloc.rviz knows the relocalizer by its usual name.
    shown = [(f"relocalizer/{topic}", f"{given['relocalizer_name']}/{topic}") for topic in SHOWN]
    return Node(
        package="rviz2",
        executable="rviz2",
        namespace=given["namespace"],
        parameters=[sim_time],
        remappings=[*tf_topics, *shown],
        arguments=["-d", str(SHARE / "config/vloc.rviz")],
    )


def _check_rviz() -> None:
    """launch finds out by itself when the nodes run already, and does not always end them."""
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError as error:
        raise RuntimeError("rviz:=true: the package rviz2 is not installed; nothing was started") from error
