"""`vloc view`: look at a run in 3-D, with the rerun viewer."""

import argparse
from pathlib import Path

from tqdm import tqdm

from vloc_ros.cli.options import SubCommands, add_dataset, add_map, add_split
from vloc_ros.datasets import open_dataset
from vloc_ros.evaluation.view import view_run
from vloc_ros.localizer import load_localizer


def register(commands: SubCommands) -> None:
    parser = commands.add_parser(
        "view",
        help="look at a run in 3-D",
        description="Localize every frame of a split and show map, camera, inliers and errors in the rerun viewer, "
        "which `pip install rerun-sdk` brings.",
    )
    add_map(parser)
    add_dataset(parser)
    add_split(parser, default="test")
    parser.add_argument("--save", type=Path, metavar="FILE.rrd", help="write a recording instead of opening the viewer")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    localizer = load_localizer(options.map)
    dataset = open_dataset(options.dataset, options.root, options.split, options.poses)
    frames = (dataset.frame(index) for index in range(len(dataset)))
    view_run(localizer, tqdm(frames, total=len(dataset), unit="frame", leave=False, disable=None), options.save)
    return 0
