"""Options of `vloc map` for images without poses (`--dataset images`) and for COLMAP models (`--dataset colmap`)."""

import argparse
from pathlib import Path
from typing import get_args

from vloc_ros.datasets.photos import PhotoOptions
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
        "--frame-rate", type=float, default=PhotoOptions.frame_rate, metavar="COUNT",
        help="images taken from a second of video (default: %(default)g)",
    )  # fmt: skip
    group.add_argument(
        "--pairs", choices=get_args(PairKind), default="similar",
        help="which images are matched: the next ones and those that look alike, those of a sequence, or all (default: "
        "%(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--partners", type=int, default=PARTNERS, metavar="COUNT",
        help="images that each one is matched with (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--mapper", choices=get_args(MapperKind), default="incremental", help="of COLMAP (default: %(default)s)"
    )
    group.add_argument(
        "--largest-part", action="store_true",
        help="where images are of several places that nothing connects, make a map of the largest",
    )  # fmt: skip
    group.add_argument(
        "--images", type=Path, metavar="DIR", help="for --dataset colmap, whose --root is the model: its images"
    )


def photo_options(options: argparse.Namespace) -> ReconstructionOptions:
    """Raises ConfigError."""
    return ReconstructionOptions(
        photos=PhotoOptions(options.camera, options.frame_rate),
        scale=parse_scale(options.scale, options.accept_no_scale),
        images=options.images,
        pairs=options.pairs,
        partners=options.partners,
        mapper=options.mapper,
        largest=options.largest_part,
    )
