"""`vloc demo`: a robot drives, over real ROS 2 topics. Needs rclpy, which is loaded only when the command runs."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vloc_ros.bags.options import BagOptions
from vloc_ros.cli.command import Command
from vloc_ros.cli.options import add_bag_topics
from vloc_ros.datasets import DATASETS, Dataset, open_dataset
from vloc_ros.datasets.drive import extrinsics_of
from vloc_ros.datasets.floors import open_floors
from vloc_ros.datasets.rigs import first_cameras, seen_by
from vloc_ros.errors import ConfigError
from vloc_ros.optional_packages import INSTALL_ROS, optional_packages
from vloc_ros.shipped import shipped

# What is there without options: a map, the data set that it is of, and a split of that.
SHIPPED_MAP_DIR, SHIPPED_DATASET, SHIPPED_SPLIT = "maps/demo_room", "synthetic_room", "drive"
FLOORS_MAP_DIR = "maps/demo_floors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--map", type=Path, metavar="DIR", help="map directory (default: the synthetic room's)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--dataset", choices=tuple(DATASETS), help=f"play posed images of this kind (default: {SHIPPED_DATASET})"
    )
    source.add_argument("--bag", type=Path, metavar="FILE", help="play a ROS 2 bag instead")
    source.add_argument("--floors", action="store_true", help="play two floors with a lift between them")
    add_bag_topics(parser)
    parser.add_argument(
        "--cameras", nargs="+", default=[], metavar="COUNT|NAME",
        help="so many cameras of the data set, or these by name, or, of a bag, the topics of their images",
    )  # fmt: skip
    parser.add_argument(
        "--cover", default="", metavar="NAME", help="one of them that is covered for a third of the drive"
    )
    parser.add_argument("--root", type=Path, metavar="DIR", help="where the posed images are")
    parser.add_argument("--poses", metavar="FILE", help="file of poses to use instead of the data set's own")
    parser.add_argument(
        "--split",
        metavar="NAME_OR_FILE",
        help=f"which images, in order (default: test; {SHIPPED_SPLIT} if no --dataset)",
    )
    parser.add_argument("--rate", type=float, default=10.0, metavar="HZ", help="images a second (default: %(default)g)")
    parser.add_argument("--kidnap", action="store_true", help="carry the robot to another place midway")
    parser.add_argument(
        "--out", type=Path, default=Path("out"), metavar="DIR", help="for demo.png and the nodes' logs (default: out)"
    )


def run(options: argparse.Namespace) -> int:
    check(options)
    with optional_packages("the demo", INSTALL_ROS):
        from vloc_ros.demo import run as demo
        from vloc_ros.demo.player import Rig
        from vloc_ros.demo.verdict import ANY_MAP, SHIPPED_FLOORS, SHIPPED_MAP
    map_dir = options.map or shipped(FLOORS_MAP_DIR if options.floors else SHIPPED_MAP_DIR)
    if options.floors:
        floors = open_floors()
        drive = demo.DriveOptions(floors.base_from_camera, options.rate, False, SHIPPED_FLOORS)
        return 0 if demo.play_dataset(map_dir, floors, drive, options.out) else 1
    if options.bag:
        rig = tuple(options.cameras)
        topics = BagOptions(
            options.image_topic, options.camera_info_topic, tf_topics=tuple(options.tf_topic), cameras=rig
        )
        return 0 if demo.play_bag(map_dir, options.bag, topics, options.out) else 1
    split = options.split or ("test" if options.dataset else SHIPPED_SPLIT)
    dataset = open_dataset(options.dataset or SHIPPED_DATASET, options.root, split, options.poses)
    cameras = cameras_of(dataset, options.cameras)
    if options.cover and options.cover not in cameras:
        raise ConfigError(f"--cover {options.cover}: the cameras are {', '.join(cameras) or 'one without a name'}")
    dataset = seen_by(dataset, cameras)
    mounting, limits = extrinsics_of(dataset), SHIPPED_MAP if options.map is None else ANY_MAP
    drive = demo.DriveOptions(mounting, options.rate, options.kidnap, limits, Rig(cameras, options.cover))
    return 0 if demo.play_dataset(map_dir, dataset, drive, options.out) else 1


def cameras_of(dataset: Dataset, asked: Sequence[str]) -> tuple[str, ...]:
    """By name, none for one camera. Raises ConfigError where there are not so many."""
    return first_cameras(dataset, int(asked[0])) if len(asked) == 1 and asked[0].isdecimal() else tuple(asked)


def check(options: argparse.Namespace) -> None:
    """Raises ConfigError for options that make no sense."""
    if not 0.1 <= options.rate <= 100:
        raise ConfigError(f"--rate {options.rate:g}: must be 0.1 to 100 images a second")
    if options.bag and options.kidnap:
        raise ConfigError("--kidnap: a bag is played as it was recorded")
    if options.bag and options.cover:
        raise ConfigError("--cover: a bag is played as it was recorded")
    if options.floors and (options.kidnap or options.cameras or options.cover):
        raise ConfigError("--floors: goes without --kidnap, --cameras and --cover")
    if options.map is None and (options.bag or options.dataset not in (None, SHIPPED_DATASET)):
        raise ConfigError(f"give --map: the map that is shipped is of {SHIPPED_DATASET}")


COMMAND = Command(
    "Start the map server and the relocalizer, publish a drive as a robot's sensors would, listen to "
    "the poses and TF, print the figures and draw the paths from above. Without options: the synthetic room and "
    "the map that is shipped. Exit code 1 if the result is worse than it should be.",
    add_arguments,
    run,
)
