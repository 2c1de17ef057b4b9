"""`vloc record`: write down what a live relocalizer says. Needs rclpy, which is loaded only when the command runs."""

import argparse
from pathlib import Path

from vloc_ros.cli.command import Command
from vloc_ros.optional_packages import INSTALL_ROS, optional_packages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="directory to write")
    parser.add_argument(
        "--relocalizer", default="relocalizer", metavar="NAME", help="the node, in its namespace (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    from vloc_ros.ros.programs import as_arguments, recorder

    topics = ("pose", "filtered_pose", "camera_pose", "status")
    remaps = [word for topic in topics for word in ("-r", f"relocalizer/{topic}:={options.relocalizer}/{topic}")]
    with optional_packages("recording", INSTALL_ROS):
        return recorder(["--ros-args", *as_arguments({"out": options.out}), *remaps])


COMMAND = Command(
    "Write poses and statuses of a running relocalizer into a directory, until interrupted.", add_arguments, run
)
