"""What `vloc map --update` is worth beside one map that is made of both recordings.

python benchmark/update_mapping.py --root shared/data/redkitchen --poses shared/data/redkitchen/poses_sfm.txt \\
    --workdir DIR [--test SPLIT] [--every 1] [--first 0] [--json FILE]

The first half of the split `train` of a 7-Scenes scene is a map. The second half is a new recording, whose poses are in
a frame of its own: turned by 64 degrees and 12 m away. Maps are made of every so many frames, from number `first` on;
frames midway between them are localized, or with `--test SPLIT` those of that split: in the map of the first half, in
the updated one, and in one of both halves with their exact poses. "failed before": frames that the first map gives no
pose within 5 cm and 5 deg. The work directories are kept, and go on where they were.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from drifting_recording import KIND, pose_line
from inputs import scene_parser
from results import MEDIAN, RECALLS, Results, figures_of

from vloc_ros.cli.map_update import KEPT
from vloc_ros.cli.progress_bar import TerminalProgress
from vloc_ros.datasets import open_dataset
from vloc_ros.evaluation.evaluate import Evaluation, evaluate
from vloc_ros.files import write_text
from vloc_ros.geometry.pose_error import RIGHT_POSE
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.localizer import load_localizer
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.pram.options import PRAMOptions
from vloc_ros.training.stages.build_map import build_map
from vloc_ros.training.update_map import update_map
from vloc_ros.training.update_options import UpdateOptions

FIRST, UPDATED, BOTH = "first half", "updated with the second half", "both halves, exact poses"
MADE = {FIRST: "first", UPDATED: "updated", BOTH: "both"}
OTHER_FROM_MAP = from_quaternion([0.1, -0.2, 0.5, 0.8], [12.0, -3.0, 0.4])


def main() -> None:
    options = _parser().parse_args()
    directory: Path = options.workdir
    directory.mkdir(parents=True, exist_ok=True)
    names = open_dataset(KIND, options.root, "train", options.poses).names
    halves = names[: len(names) // 2], names[len(names) // 2 :]
    first, second = (half[options.first :: options.every] for half in halves)
    between = [name for half in halves for name in half[options.first + options.every // 2 :: options.every]]
    for file, listed in {"first": first, "second": second, "both": [*first, *second], "held_out": between}.items():
        write_text(directory / f"{file}.txt", "".join(f"{name}\n" for name in listed))
    _write_moved(directory, options, second)
    _make(directory, options)
    asked = options.test or str(directory / "held_out.txt")
    frames = open_dataset(KIND, options.root, asked, options.poses)
    found = {what: evaluate(load_localizer(directory / f"{made}.map"), frames) for what, made in MADE.items()}
    error = {"error, median": MEDIAN, **RECALLS}
    columns = {"map of": "{what}", "localized": "{frames}", **error, "rejected": "{rejected}"}
    results = Results(f"Data: {KIND} {options.root.name}, split {options.test or 'train, frames between'}", columns)
    failed = [
        index
        for index, record in enumerate(found[FIRST].records)
        if not (record.error and record.error.within(RIGHT_POSE))
    ]
    for what, evaluation in found.items():
        results.add(what=what, **figures_of(evaluation.summary()))
        if failed:
            missed = Evaluation(tuple(evaluation.records[index] for index in failed))
            results.add(what=f"{what}: those that failed before", **figures_of(missed.summary()))
    results.write(options.json)


def _parser() -> argparse.ArgumentParser:
    parser = scene_parser(__doc__)
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    return parser


def _write_moved(directory: Path, options: argparse.Namespace, names: Sequence[str]) -> None:
    """The file moved.txt, of the second recording's poses in a frame of its own."""
    frames = open_dataset(KIND, options.root, str(directory / "second.txt"), options.poses)
    poses = (OTHER_FROM_MAP @ frames.map_from_camera(index) for index in range(len(names)))
    write_text(directory / "moved.txt", "".join(pose_line(name, pose) for name, pose in zip(names, poses, strict=True)))


def _make(directory: Path, options: argparse.Namespace) -> None:
    def wanted(name: str, split: str, poses: Path, update: UpdateOptions | None = None) -> MapOptions:
        return MapOptions(
            KIND, options.root, str(directory / f"{split}.txt"), directory / f"{name}.map",
            directory / f"{name}.map.work", PRAMOptions(), poses=str(poses), update=update,
        )  # fmt: skip

    progress = TerminalProgress()
    build_map(wanted("first", "first", options.poses), progress)
    update_map(
        wanted("updated", "second", directory / "moved.txt", UpdateOptions(directory / "first.map", None, KEPT)),
        progress,
    )
    build_map(wanted("both", "both", options.poses), progress)


if __name__ == "__main__":
    main()
