"""`vloc evaluate`: how well does a map do on posed images or on a bag?"""

import argparse
from collections.abc import Collection, Iterator
from functools import partial

from vloc_ros.cli import evaluate_bag, evaluate_bags
from vloc_ros.cli.command import Command
from vloc_ros.cli.evaluate_outputs import add_outputs, write_outputs
from vloc_ros.cli.options import (
    add_dataset,
    add_map,
    add_session,
    add_split,
    note,
    opened_map,
    refuse_options,
    session_options,
    warn_of_cameras,
)
from vloc_ros.cli.progress_bar import frame_bar
from vloc_ros.core.grey import UNKNOWN_COLORS, UNKNOWN_GREY
from vloc_ros.datasets import Dataset, Frame, open_dataset
from vloc_ros.datasets.rigs import seen_by
from vloc_ros.errors import ConfigError
from vloc_ros.evaluation.corruptions import Corrupted, noise_block
from vloc_ros.evaluation.evaluate import Evaluation, LoadFrames, evaluate
from vloc_ros.evaluation.records import Rejected
from vloc_ros.localizer import Localizer

OF_RECORDINGS = (  # options that data sets have no use for
    "image_topic", "camera_info_topic", "tf_topic", "rectified", "camera_frame", "camera_frames", "odometry_topic",
    "truth", "truth_frame", "place", "place_times", "priors", "align",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_map(parser)
    add_dataset(parser, required=False)
    add_split(parser, default="test")
    evaluate_bag.add_options(parser)
    evaluate_bags.add_options(parser)
    parser.add_argument(
        "--occlude",
        type=float,
        default=0.0,
        metavar="RATIO",
        help="cover this part of each image's height and width with noise, 0 to 1, of --cameras those of the first "
        "(default: %(default)s)",
    )
    add_session(parser)
    parser.add_argument(
        "--batch",
        type=int,
        default=1,
        metavar="N",
        help="so many images at once through the network and all else in threads, for throughput; a stage's latency is "
        "then an image's share (default: one after the other, as on a robot)",
    )
    add_outputs(parser)


def run(options: argparse.Namespace) -> int:
    if options.bags:
        return evaluate_bags.run(options)
    if options.baseline or options.workers or options.scheduler:
        raise ConfigError("--baseline, --workers and --scheduler are for --bags")
    from_bag = bool(options.bag or options.recorded)
    if from_bag == bool(options.dataset):
        raise ConfigError("give one of --dataset KIND, --bag BAG, --bags LIST and --recorded DIR")
    if not from_bag:
        refuse_options(options, OF_RECORDINGS, "is for --bag, --bags and --recorded")
    dataset = None if from_bag else _dataset(options)  # what is wrong with it is said before the network is loaded
    localizer = opened_map(options, session_options(options, options.batch), note)
    if dataset is None:
        evaluation, load = evaluate_bag.evaluated(localizer, options)
    else:
        evaluation, load = _evaluated(localizer, dataset)
    details = [record.outcome.detail for record in evaluation.records if isinstance(record.outcome, Rejected)]
    for doubt in (UNKNOWN_GREY, UNKNOWN_COLORS):
        if count := sum(doubt in detail for detail in details):
            note(f"warning: of {count} rejected frames, {doubt}")
    return write_outputs(options, evaluation, localizer, load)


def _dataset(options: argparse.Namespace) -> Dataset:
    dataset = seen_by(open_dataset(options.dataset, options.root, options.split, options.poses), options.cameras)
    return Corrupted(dataset, partial(noise_block, ratio=options.occlude)) if options.occlude else dataset


def _evaluated(localizer: Localizer, dataset: Dataset) -> tuple[Evaluation, LoadFrames]:
    warn_of_cameras(localizer, (dataset.camera(index) for index in range(len(dataset))))

    def load(names: Collection[str]) -> Iterator[Frame]:
        return (dataset.frame(index) for index, name in enumerate(dataset.names) if name in names)

    with frame_bar() as advance:
        return evaluate(localizer, dataset, advance), load


COMMAND = Command(
    "Localize every frame of a split or of a ROS 2 bag, compare with the known poses and print a "
    "table. A rejected frame counts as not localized everywhere.",
    add_arguments,
    run,
)
