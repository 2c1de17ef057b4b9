"""`vloc record`: write down what a live relocalizer says. Needs rclpy, which is loaded only when the command runs."""

import argparse
import json
from pathlib import Path

from vloc_ros.cli.options import SubCommands
from vloc_ros.errors import ConfigError


def register(commands: SubCommands) -> None:
    parser = commands.add_parser(
        "record",
        help="write down what a live relocalizer says, for `vloc evaluate --recorded`",
        description="Write poses and statuses of a running relocalizer into a directory, until interrupted.",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="directory to write")
    parser.add_argument(
        "--relocalizer", default="relocalizer", metavar="NAME", help="the node, in its namespace (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from vloc_ros.ros.programs import recorder

    topics = ("pose", "camera_pose", "status")
    remaps = [word for topic in topics for word in ("-r", f"relocalizer/{topic}:={options.relocalizer}/{topic}")]
    try:
        return recorder(["--ros-args", "-p", f"out:={json.dumps(str(options.out))}", *remaps])
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("vloc_ros"):
            raise
        raise ConfigError(
            f"recording needs ROS 2, there is no Python package '{error.name}': source a ROS 2 Jazzy installation"
        ) from error
