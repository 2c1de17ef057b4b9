"""Options that most of the benchmarks share: a map, posed images, where the figures are written."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from results import add_json

from vloc_ros.cli.options import add_dataset, add_map, add_session, add_split
from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.training.method_options import MethodOptions, make_options

PRIOR_SIGMAS = np.array([0.1 / np.sqrt(3)] * 3 + [np.radians(5) / np.sqrt(3)] * 3)  # 10 cm and 5 deg in all


def plain_parser(description: str | None) -> argparse.ArgumentParser:
    """With the option where the figures are to be written; `description` is shown as it is written."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_json(parser)
    return parser


def parser_of(description: str | None, *, several_maps: bool = False) -> argparse.ArgumentParser:
    """`plain_parser` with the options for a map, or a list of `several_maps`, and a split of posed images."""
    parser = plain_parser(description)
    if several_maps:
        add_maps(parser)
    else:
        add_map(parser)
    add_dataset(parser)
    add_split(parser, default="test")
    return parser


def scene_parser(description: str | None) -> argparse.ArgumentParser:
    """`plain_parser` with the options of a benchmark that maps frames of a scene of 7-Scenes itself."""
    parser = plain_parser(description)
    parser.add_argument("--root", type=Path, required=True, help="of a scene of 7-Scenes")
    parser.add_argument("--poses", type=Path, required=True, help="its poses from structure from motion")
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--test", metavar="SPLIT", help="localize the frames of this split")
    parser.add_argument("--every", type=int, default=1, help="map every so many frames")
    return parser


def add_maps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--map", nargs="+", type=Path, required=True, metavar="DIR", help="map directories")


def asked_maps_parser(description: str | None, images: int) -> argparse.ArgumentParser:
    """`plain_parser` with `--maps` that are asked of so many `--images` of a split, and what runs their networks."""
    parser = plain_parser(description)
    parser.add_argument("--maps", nargs="+", type=Path, required=True)
    add_dataset(parser)
    add_split(parser, default="test")
    add_session(parser)
    parser.add_argument("--images", type=int, default=images)
    return parser


def add_counts(parser: argparse.ArgumentParser, name: str, default: list[int], **settings: Any) -> None:
    """An option that is measured for each of several numbers."""
    parser.add_argument(name, nargs="+", type=int, default=default, metavar="COUNT", **settings)


def data_of(options: argparse.Namespace, count: int) -> str:
    """The images of the options, and the map that they are tried on, for the results."""
    where = f" {options.root.name}" if options.root else ""
    maps = options.map if isinstance(options.map, list) else [options.map]
    names = ", ".join(path.name for path in maps)
    return f"Data: {count} images of {options.dataset}{where}, split {options.split}; map {names}"


def opened(options: argparse.Namespace) -> tuple[Localizer, Dataset]:
    """The map and the images of the options."""
    dataset = open_dataset(options.dataset, options.root, options.split, options.poses)
    return load_localizer(options.map), dataset


def method_of(workdir: Path) -> MethodOptions:
    """The method's options of the run of `vloc map` that a work directory is of."""
    settings = json.loads((workdir / "method.json").read_text())
    name = settings.pop("name")
    return make_options(name, {key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()})
