"""`vloc rooms`: write rendered rooms of a building, to try what needs many places."""

import argparse
from pathlib import Path

from vloc_ros.cli.command import Command
from vloc_ros.cli.progress_bar import TerminalProgress
from vloc_ros.datasets.drawn_rooms import write_places


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="directory to write")
    parser.add_argument("--places", type=int, default=5, metavar="COUNT", help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="that they are drawn from (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    with TerminalProgress().bar("places") as advance:
        listed = write_places(options.out, options.places, options.seed, advance)
    print(f"{listed}: {options.places} places; vloc map --dataset joined --root {listed}")
    return 0


COMMAND = Command(
    "Draw rooms and corridors from a seed, some of which look alike on purpose, render images of each with their poses "
    "and depth, and write them as folders, listed in building.yaml for the data set `joined`. More places of the same "
    "seed are added to those that are there.",
    add_arguments,
    run,
)
