"""`vloc view`: look at a run in 3-D, with the rerun viewer."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from vloc_ros.cli import evaluate_bag
from vloc_ros.cli.command import Command
from vloc_ros.cli.options import add_dataset, add_map, add_split, opened_map
from vloc_ros.cli.progress_bar import frame_bar
from vloc_ros.datasets import Frame, open_dataset
from vloc_ros.datasets.rigs import seen_by
from vloc_ros.errors import ConfigError
from vloc_ros.evaluation.rerun_viewer import show_in_rerun
from vloc_ros.localizer import Localizer
from vloc_ros.progress import Bar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_map(parser)
    add_dataset(parser, required=False)
    add_split(parser, default="test")
    evaluate_bag.add_bag(parser)
    parser.add_argument("--save", type=Path, metavar="FILE.rrd", help="write a recording instead of opening the viewer")


def run(options: argparse.Namespace) -> int:
    if bool(options.bag) == bool(options.dataset):
        raise ConfigError("give one of --dataset KIND and --bag BAG")
    localizer = opened_map(options)
    with ExitStack() as scope:
        frames, count = _frames(options, localizer, scope)
        show_in_rerun(localizer, _counted(frames, count, scope.enter_context(frame_bar())), options.save)
    return 0


def _frames(options: argparse.Namespace, localizer: Localizer, scope: ExitStack) -> tuple[Any, int]:
    """Frames, and how many at most."""
    if options.bag:
        frames = evaluate_bag.posed_frames(options, localizer, scope)
        return frames, len(frames)
    dataset = seen_by(open_dataset(options.dataset, options.root, options.split, options.poses), options.cameras)
    return (dataset.frame(index) for index in range(len(dataset))), len(dataset)


def _counted(frames: Iterable[Frame], count: int, advance: Bar) -> Iterator[Frame]:
    for done, frame in enumerate(frames, start=1):
        yield frame
        advance(done, count)


COMMAND = Command(
    "Localize every frame of a split or of a bag and show map, camera, inliers and errors in the rerun "
    "viewer, the Python package rerun-sdk.",
    add_arguments,
    run,
)
