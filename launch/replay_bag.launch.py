"""A recorded bag, and the nodes of relocalize.launch.py beside it, in the bag's time."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription, OpaqueFunction, Shutdown
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

RELOCALIZE = Path(get_package_share_directory("vloc_ros")) / "launch/relocalize.launch.py"
CLOCK_HZ = "100"


def generate_launch_description() -> LaunchDescription:
    """The arguments of relocalize.launch.py, except use_sim_time, and those of the bag."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="The bag: its directory, or an MCAP or db3 file."),
            DeclareLaunchArgument("rate", default_value="1.0", description="Times as fast as it was recorded."),
            DeclareLaunchArgument("loop", default_value="false", description="Begin again at the end, and never stop."),
            DeclareLaunchArgument(
                "delay", default_value="5.0", description="Seconds for the nodes to get ready before the bag begins."
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(RELOCALIZE)), launch_arguments={"use_sim_time": "true"}.items()
            ),
            OpaqueFunction(function=_player),
        ]
    )


def _player(context: LaunchContext) -> list[ExecuteProcess]:
    bag, rate, delay = (LaunchConfiguration(name) for name in ("bag", "rate", "delay"))
    loop = IfCondition(LaunchConfiguration("loop")).evaluate(context)
    command = ["ros2", "bag", "play", bag, "--clock", CLOCK_HZ, "--rate", rate, "--delay", delay]
    options = ["--disable-keyboard-controls", *(["--loop"] if loop else [])]
    return [ExecuteProcess(cmd=[*command, *options], output="screen", on_exit=[Shutdown(reason="the bag has ended")])]
