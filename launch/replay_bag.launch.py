"""A recorded bag, and the nodes of relocalize.launch.py beside it, in the bag's time."""

import math
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
    TimerAction,
)
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

RELOCALIZE = Path(get_package_share_directory("vloc_ros")) / "launch/relocalize.launch.py"
CLOCK_HZ = "100"


def generate_launch_description() -> LaunchDescription:
    """The arguments of the bag and those of relocalize.launch.py, with simulated time."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="The bag: its directory, or an MCAP or db3 file."),
            DeclareLaunchArgument("rate", default_value="1.0", description="Times as fast as it was recorded."),
            DeclareLaunchArgument("loop", default_value="false", description="Begin again at the end, and never stop."),
            DeclareLaunchArgument(
                "delay", default_value="5.0", description="Seconds for the nodes to get ready before the bag begins."
            ),
            # Of two declarations of an argument, the first one counts.
            DeclareLaunchArgument("use_sim_time", default_value="true", description="Take the time from the bag."),
            OpaqueFunction(function=_checked),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(RELOCALIZE))),
            OpaqueFunction(function=_player),
        ]
    )


def _checked(context: LaunchContext) -> None:
    """Before anything starts."""
    _delay_s(context)


def _delay_s(context: LaunchContext) -> float:
    text = LaunchConfiguration("delay").perform(context)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise RuntimeError(f"delay:={text}: must be a number of seconds, 0 or more")
    return seconds


def _player(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    bag, rate = (LaunchConfiguration(name) for name in ("bag", "rate"))
    loop = IfCondition(LaunchConfiguration("loop")).evaluate(context)
    command = ["ros2", "bag", "play", bag, "--clock", CLOCK_HZ, "--rate", rate]
    options = ["--disable-keyboard-controls", *(["--loop"] if loop else [])]
    ended = [Shutdown(reason="the bag has ended")]
    player = ExecuteProcess(cmd=[*command, *options], output="screen", on_exit=ended)
    # Not with `ros2 bag play --delay`, which refuses 0 and waits before each loop again.
    delay_s = _delay_s(context)
    return [TimerAction(period=delay_s, actions=[player])] if delay_s else [player]
