"""`vloc bag`: write posed images as a ROS 2 bag."""

import argparse
from pathlib import Path

from vloc_ros.bags.writer import COMPRESSIONS, STORAGES
from vloc_ros.cli.command import Command
from vloc_ros.cli.options import add_dataset, add_split
from vloc_ros.cli.progress_bar import frame_bar
from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.bag_export import RAW as RAW_DEPTH
from vloc_ros.datasets.bag_export import REGISTERED, WriteOptions, stamp_of, write_dataset
from vloc_ros.datasets.drive import MAP_FRAME, OdometryDrift, extrinsics_of
from vloc_ros.datasets.floors import open_floors
from vloc_ros.datasets.place_times import place_changes, write_place_times
from vloc_ros.datasets.rigs import seen_by
from vloc_ros.errors import ConfigError

RAW = "raw"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_dataset(parser, required=False)
    parser.add_argument(
        "--floors", action="store_true",
        help="in place of --dataset, the drive of `vloc demo --floors`; OUT.places says when it was on which floor",
    )  # fmt: skip
    add_split(parser, default="test")
    parser.add_argument("--out", required=True, type=Path, metavar="BAG", help="bag directory to write")
    parser.add_argument("--jpeg", default=RAW, metavar=f"QUALITY|{RAW}", help="1 to 100, or %(default)s, the default")
    parser.add_argument(
        "--depth", nargs="?", const=REGISTERED, default="", choices=(REGISTERED, RAW_DEPTH),
        help=f"with depth: {REGISTERED} to the images (without a word too), or {RAW_DEPTH}, as its own camera "
        "recorded it, with that one's camera_info and TF",
    )  # fmt: skip
    parser.add_argument(
        "--cameras", nargs="+", default=[], metavar="NAME",
        help="images of several cameras of the data set, by name, each in a namespace; the truth is of the first",
    )  # fmt: skip
    parser.add_argument("--storage", choices=STORAGES, default="mcap", help="(default: %(default)s)")
    parser.add_argument("--compression", choices=COMPRESSIONS, default="none", help="zstd (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=10.0, metavar="HZ", help="images a second (default: %(default)g)")
    parser.add_argument("--frame-id", default=MAP_FRAME, help="name of the poses' frame (default: %(default)s)")
    parser.add_argument(
        "--drift",
        type=float,
        default=0.0,
        metavar="FACTOR",
        help="what the odometry gets wrong: 1 is 3 %% of distances and turns, and 2.5 deg a metre (default: none)",
    )


def run(options: argparse.Namespace) -> int:
    wanted = WriteOptions(
        storage=options.storage,
        compression=options.compression,
        jpeg_quality=_quality(options.jpeg),
        rate_hz=options.rate,
        map_frame=options.frame_id,
        drift=OdometryDrift().scaled(options.drift),
        depth=options.depth,
        cameras=tuple(options.cameras),
    )
    dataset = _dataset(options)
    with frame_bar() as advance:
        mounting = extrinsics_of(dataset)
        write_dataset(options.out, dataset, mounting, wanted, advance)
    if options.floors:
        stamped = ((stamp_of(step, wanted), dataset.place(step)) for step in range(len(dataset)))
        write_place_times(options.out.with_name(f"{options.out.name}.places"), place_changes(stamped))
    print(f"{options.out}: {len(dataset)} images")
    return 0


def _dataset(options: argparse.Namespace) -> Dataset:
    """Raises VlocError."""
    if options.floors == bool(options.dataset):
        raise ConfigError("give one of --dataset KIND and --floors")
    if options.floors:
        if options.cameras or options.depth:
            raise ConfigError("--floors: goes without --cameras and --depth")
        return open_floors()
    return seen_by(open_dataset(options.dataset, options.root, options.split, options.poses), options.cameras)


def _quality(text: str) -> int | None:
    if text == RAW:
        return None
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"--jpeg {text}: neither a quality of 1 to 100 nor '{RAW}'") from None


COMMAND = Command(
    "Write a split as a ROS 2 bag: images, camera_info, true camera poses, odometry, TF. No ROS is "
    "needed; `ros2 bag play` plays it, `vloc evaluate --bag` evaluates it.",
    add_arguments,
    run,
)
