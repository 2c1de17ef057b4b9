"""Nav2 and the relocalizer, brought up together by lifecycle managers:

`ros2 launch vloc_ros nav2.launch.py map:=DIRECTORY image:=TOPIC camera_info:=TOPIC grid:=YAML`

An example to copy: the robot's own launch file starts its drivers, its odometry and its description beside this.
"""

from pathlib import Path

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import IfElseSubstitution, LaunchConfiguration
from launch_ros.actions import Node, PushROSNamespace
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(get_package_share_directory("vloc_ros"))
BRINGUP = Path(get_package_share_directory("nav2_bringup"))  # what is missing is to be said before anything starts
MANAGER = "nav2_lifecycle_manager"
get_package_prefix(MANAGER)
CONFIG = str(SHARE / "config/nav2.yaml")
ARGUMENTS = {
    "grid": (None, "Nav2's map, an occupancy grid of the same place with the same origin: its YAML file."),
    "amcl": ("false", "AMCL tracks the robot by laser, and the relocalizer places it. Otherwise there is no AMCL."),
    "nav2_params": (str(BRINGUP / "params/nav2_params.yaml"), "Parameters of Nav2's nodes."),
    "relocalizer_config": (CONFIG, "Parameters of the relocalizer."),
    "map_server_config": (CONFIG, "Parameters of the map server."),
    "tf_mode": (
        IfElseSubstitution(LaunchConfiguration("amcl"), "none", "map_to_odom"),
        "none beside AMCL, which broadcasts map -> odom itself, otherwise map_to_odom.",
    ),
}


def generate_launch_description() -> LaunchDescription:
    """The arguments above, those of relocalize.launch.py with the defaults from above, and all nodes."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    relocalize = PythonLaunchDescriptionSource(str(SHARE / "launch/relocalize.launch.py"))
    return LaunchDescription([*arguments, IncludeLaunchDescription(relocalize), OpaqueFunction(function=_managed)])


def _managed(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {name: LaunchConfiguration(name).perform(context) for name in context.launch_configurations}
    sim_time = {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}
    ours = [given["map_server_name"]] if given["map"] else []
    ours.append(given["relocalizer_name"])
    namespace = given["namespace"]
    common = {"namespace": namespace, "params_file": given["nav2_params"], "use_sim_time": given["use_sim_time"]}
    if IfCondition(LaunchConfiguration("amcl")).evaluate(context):
        localization = [_nav2("localization_launch.py", {**common, "map": given["grid"]})]
    else:
        # The costmaps need the grid, whoever localizes.
        name, grid = "map_server", {"yaml_filename": given["grid"], **sim_time}
        server = Node(package="nav2_map_server", executable=name, name=name, namespace=namespace, parameters=[grid])
        localization, ours = [server], [name, *ours]
    manager = Node(
        package=MANAGER,
        executable="lifecycle_manager",
        name="lifecycle_manager_vloc",
        namespace=namespace,
        parameters=[CONFIG, {**sim_time, "node_names": ours}],
        output="screen",
    )
    return [*localization, manager, _nav2("navigation_launch.py", common)]


def _nav2(name: str, arguments: dict[str, str]) -> GroupAction:
    """One of Nav2's launch files; the values of its arguments, `map` among them, are nobody else's."""
    source = PythonLaunchDescriptionSource(str(BRINGUP / "launch" / name))
    pushed = [PushROSNamespace(arguments["namespace"])] if arguments["namespace"] else []
    return GroupAction([*pushed, IncludeLaunchDescription(source, launch_arguments=arguments.items())])
