"""`vloc photos`: write posed images as photos, of which nobody knows where they were taken."""

import argparse
from pathlib import Path

from vloc_ros.cli.command import Command
from vloc_ros.cli.options import add_dataset, add_split
from vloc_ros.cli.progress_bar import frame_bar
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.photo_export import export_photos, farthest
from vloc_ros.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_dataset(parser)
    add_split(parser, default="train")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="directory to write; DIR.tum: the poses")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth image (default: all)")


def run(options: argparse.Namespace) -> int:
    if options.every < 1:
        raise ConfigError(f"--every {options.every}: must be 1 or more")
    dataset = open_dataset(options.dataset, options.root, options.split, options.poses)
    with frame_bar() as advance:
        poses = export_photos(options.out, dataset, range(0, len(dataset), options.every), advance)
    first, other, metres = farthest(poses)
    print(f"{options.out}: {len(poses)} photos; {first} and {other} were taken {metres:.3f} m apart")
    return 0


COMMAND = Command(
    "Write images as photos, as `vloc map --dataset images` takes them: without poses, with the focal length in EXIF "
    "data. Their poses lie beside them, for --scale and to compare with.",
    add_arguments,
    run,
)
