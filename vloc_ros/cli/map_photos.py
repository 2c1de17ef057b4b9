"""Options of `vloc map` for images without poses (`--dataset images`) and for COLMAP models (`--dataset colmap`)."""

import argparse
from pathlib import Path
from typing import get_args

from vloc_ros.datasets.photos import PhotoOptions
from vloc_ros.datasets.video import FRAME_RATE
from vloc_ros.errors import ConfigError
from vloc_ros.mapping.sfm.mapper import MapperKind
from vloc_ros.mapping.sfm.options import ReconstructionOptions
from vloc_ros.mapping.sfm.pairs import PARTNERS, PairKind
from vloc_ros.mapping.sfm.scale import WAYS, parse_scale


def add_photos(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "images without poses", "for --dataset images, whose --root is a directory of images or a video"
    )
    group.add_argument(
        "--scale", action="append", default=[], metavar="WAY", help=f"how large things are: {WAYS}; several distances"
    )
    group.add_argument(
        "--accept-no-scale", action="store_true", help="let --scale none pass: no pose of the map will be in metres"
    )
    group.add_argument(
        "--camera", type=Path, metavar="FILE",
        help="camera.txt of the images, held upright (default: estimated, from EXIF on where there is any)",
    )  # fmt: skip
    group.add_argument(
        "--frame-rate", type=float, metavar="COUNT",
        help=f"images taken from a second of video (default: {FRAME_RATE:g})",
    )  # fmt: skip
    group.add_argument(
        "--pairs", choices=get_args(PairKind),
        help="which images are matched: the next ones and those that look alike (similar, the default), those of a "
        "sequence, or all",
    )  # fmt: skip
    group.add_argument(
        "--partners", type=int, metavar="COUNT",
        help=f"images that each one is matched with (default: {PARTNERS})",
    )  # fmt: skip
    group.add_argument(
        "--mapper", choices=get_args(MapperKind), help=f"of COLMAP (default: {ReconstructionOptions.mapper})"
    )
    group.add_argument(
        "--largest-part", action="store_true",
        help="where images are of several places that nothing connects, make a map of the largest",
    )  # fmt: skip
    group.add_argument(
        "--images", type=Path, metavar="DIR", help="for --dataset colmap, whose --root is the model: its images"
    )


def photo_options(options: argparse.Namespace) -> ReconstructionOptions:
    """Raises ConfigError for what makes no sense, and for options of another data set."""
    _require_of_data_set(options)
    return ReconstructionOptions(
        photos=PhotoOptions(options.camera, FRAME_RATE if options.frame_rate is None else options.frame_rate),
        scale=parse_scale(options.scale, options.accept_no_scale),
        images=options.images,
        pairs=options.pairs or ReconstructionOptions.pairs,
        partners=PARTNERS if options.partners is None else options.partners,
        mapper=options.mapper or ReconstructionOptions.mapper,
        largest=options.largest_part,
    )


def _require_of_data_set(options: argparse.Namespace) -> None:
    from vloc_ros.training.map_options import COLMAP, IMAGES

    given = {
        "--camera": options.camera,
        "--pairs": options.pairs,
        "--mapper": options.mapper,
        "--partners": options.partners,
        "--largest-part": options.largest_part,
        "--frame-rate": options.frame_rate,
    }
    for flag, value in given.items():
        if value not in (None, False) and options.dataset != IMAGES:
            raise ConfigError(f"{flag} {value}: has no effect on --dataset {options.dataset}, only on {IMAGES}")
    for flag, value in (("--scale", options.scale), ("--accept-no-scale", options.accept_no_scale)):
        if value and options.dataset not in (IMAGES, COLMAP):
            raise ConfigError(f"{flag}: has no effect on --dataset {options.dataset}, only on {IMAGES} and {COLMAP}")
    if options.images and options.dataset != COLMAP:
        raise ConfigError(f"--images {options.images}: has no effect on --dataset {options.dataset}, only on {COLMAP}")
    if options.poses and options.dataset in (IMAGES, COLMAP):
        raise ConfigError(
            f"--poses {options.poses}: --dataset {options.dataset} finds poses itself; --scale poses:{options.poses} "
            "takes the scale from them"
        )
