"""`vloc demo`: localize the synthetic room's test images with the map that is shipped."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vloc_ros.cli.evaluate import evaluate_with_progress, summary_table
from vloc_ros.cli.options import SubCommands
from vloc_ros.datasets import open_dataset
from vloc_ros.errors import MapError
from vloc_ros.evaluation.overlay import draw_overlay, write_picture
from vloc_ros.localizer import load_localizer

ROOM = "synthetic_room"
# What a good result is: metres, degrees, share of the frames within 5 cm and 5 deg.
MAX_MEDIAN_TRANSLATION_M, MAX_MEDIAN_ROTATION_DEG, MIN_RECALL = 0.02, 0.5, 0.97


def register(commands: SubCommands) -> None:
    parser = commands.add_parser(
        "demo",
        help="try it: the synthetic room and the map that is shipped",
        description="Localize the synthetic room's test images with the map that is shipped, print the figures and "
        "draw a picture. Exit code 1 if the result is worse than it should be.",
    )
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="for demo.png (default: out)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    map_directory = shipped_map(ROOM)
    localizer = load_localizer(map_directory)
    dataset = open_dataset(ROOM, None, "test")
    print(f"{len(dataset)} test images of the synthetic room, map {map_directory}")
    summary = evaluate_with_progress(localizer, dataset).summary()
    print(summary_table(summary))
    image = dataset.frame(len(dataset) // 2).image
    picture = options.out / "demo.png"
    write_picture(picture, draw_overlay(localizer, image, localizer.localize(image)))
    print(f"picture: {picture}")
    good = is_good(summary)
    print("result: good" if good else "result: BAD, worse than 2 cm, 0.5 deg or 97 % within 5 cm and 5 deg")
    return 0 if good else 1


def shipped_map(name: str) -> Path:
    """A map that comes with the package: beside its source, or installed below a prefix. Raises MapError."""
    for folder in Path(__file__).resolve().parents:
        for maps in (folder / "maps", folder / "share" / "vloc_ros" / "maps"):
            if (maps / name / "map.yaml").is_file():
                return maps / name
    raise MapError(f"{name}: the map that comes with vloc_ros is not installed")


def is_good(summary: Mapping[str, Any]) -> bool:
    """Whether the figures are what the shipped map should reach."""
    translation, rotation = summary["median_translation_m"], summary["median_rotation_deg"]
    if translation is None or rotation is None:
        return False
    accurate: bool = translation <= MAX_MEDIAN_TRANSLATION_M and rotation <= MAX_MEDIAN_ROTATION_DEG
    return accurate and summary["recall_5cm_5deg"] >= MIN_RECALL
