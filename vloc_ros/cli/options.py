"""Command line options that several commands share."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from vloc_ros.datasets import DATASETS

if TYPE_CHECKING:
    SubCommands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    SubCommands = argparse._SubParsersAction  # not subscriptable when it runs


def add_map(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--map", required=True, type=Path, metavar="DIR", help="map directory, as `vloc map` writes it")


def add_dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True, choices=tuple(DATASETS), help="kind of posed images")
    parser.add_argument("--root", type=Path, metavar="DIR", help="where they are (the synthetic room needs none)")
    parser.add_argument(
        "--poses", metavar="FILE", help="file of poses to use instead of the data set's own, e.g. poses_sfm.txt"
    )


def add_split(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--split",
        default=default,
        metavar="NAME_OR_FILE",
        help="train, test, all, any NAME that has a split_NAME.txt, or a file of frame names (default: %(default)s)",
    )
