"""What a drift in the poses of a recording costs its map, with loops closed by features and without.

python benchmark/drifting_recording.py --root shared/data/redkitchen --poses shared/data/redkitchen/poses_sfm.txt \\
    --workdir DIR [--test SPLIT] [--every 1] [--maps exact off auto] [--json FILE]

The poses of 7-Scenes frames are given a drift as odometry has it: 1 % of the distance, and a heading that turns by 0.2
deg/s at 30 frames a second. Three maps are made with `vloc map --method pram` of every so many frames: of the exact
poses, of the drifting ones with `--loops off`, and with `--loops auto`. Frames with their exact poses are localized in
each and compared after one rigid alignment (the frame of a map with drifting poses is not that of the exact ones). By
default these are ten in every hundred frames of the split `train`, which no map is made from; `--test SPLIT`: those of
that split. A pose off by 25 cm or more counts as wrong. The work directories are kept, and go on where they were.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from inputs import scene_parser
from numpy.typing import NDArray
from results import MEDIAN, RECALLS, Results, figures_of

from vloc_ros.cli.progress_bar import TerminalProgress
from vloc_ros.datasets import open_dataset
from vloc_ros.errors import VlocError
from vloc_ros.evaluation.alignment import against, align
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.files import write_text
from vloc_ros.geometry.transforms import invert, to_quaternion
from vloc_ros.localizer import load_localizer
from vloc_ros.synthetic.drift import drifted
from vloc_ros.training.map_options import MapOptions, TrainingOptions
from vloc_ros.training.pram.options import PRAMOptions
from vloc_ros.training.stages.build_map import build_map

KIND, FOCAL = "seven_scenes", 525.505
RATE_HZ, SHARE, TURN_DEG_PER_S = 30.0, 0.01, 0.2
BLOCK, BLOCK_EVERY = 10, 100  # held-out frames
MAPS = ("exact", "off", "auto")


def main() -> None:
    options = _parser().parse_args()
    names = open_dataset(KIND, options.root, "train", options.poses).names
    mapped: tuple[str, ...] = tuple(names)
    held_out: tuple[str, ...] = ()
    if options.test is None:
        held_out = tuple(name for name in names if _number(name) % BLOCK_EVERY < BLOCK)
        mapped = tuple(name for name in names if name not in held_out)
    directory: Path = options.workdir
    directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / "mapped.txt", "".join(f"{name}\n" for name in mapped[:: options.every]))
    write_text(directory / "held_out.txt", "".join(f"{name}\n" for name in held_out))
    asked = options.test or str(directory / "held_out.txt")
    _write_drifting(directory, options.root, options.poses)
    columns = {"Poses": "{poses}", "error, median": MEDIAN, **RECALLS, "rejected": "{rejected}", "moved": "{moved}"}
    results = Results(f"Data: {KIND} {options.root.name}, split {options.test or 'train, held-out frames'}", columns)
    for name in options.maps:
        try:
            _make(directory, options, name)
        except VlocError as error:
            results.add(poses=_described(name), moved=f"refused: {error}")
            continue
        evaluation = _aligned(directory / f"{name}.map", open_dataset(KIND, options.root, asked, options.poses))
        results.add(poses=_described(name), **evaluation)
    results.write(options.json)


def _parser() -> argparse.ArgumentParser:
    parser = scene_parser(__doc__)
    parser.add_argument("--maps", nargs="+", choices=MAPS, default=MAPS)
    return parser


def _described(name: str) -> str:
    return "exact" if name == "exact" else f"with a drift, --loops {name}"


def _number(name: str) -> int:
    return int(re.findall(r"\d+", name)[-1])


def _write_drifting(directory: Path, root: Path, poses: Path) -> None:
    """The file drifting.txt, of the frames that are mapped, as `--poses` takes it."""
    frames = open_dataset(KIND, root, str(directory / "mapped.txt"), poses)
    exact = np.stack([frames.map_from_camera(index) for index in range(len(frames))])
    seconds = np.array([_number(name) for name in frames.names]) / RATE_HZ
    found = drifted(exact, seconds, SHARE, np.radians(TURN_DEG_PER_S), -exact[:, :3, 1].mean(axis=0))
    lines = [pose_line(name, pose) for name, pose in zip(frames.names, found, strict=True)]
    write_text(directory / "drifting.txt", "".join(lines))


def pose_line(name: str, map_from_camera: NDArray[np.float64]) -> str:
    camera_from_map = invert(map_from_camera)
    x, y, z, w = to_quaternion(camera_from_map[:3, :3]).tolist()
    numbers: Sequence[float] = [w, x, y, z, *camera_from_map[:3, 3].tolist(), FOCAL]
    return f"{name} {' '.join(f'{number:.9f}' for number in numbers)}\n"


def _make(directory: Path, options: argparse.Namespace, name: str) -> None:
    poses = options.poses if name == "exact" else directory / "drifting.txt"
    method = PRAMOptions(loops="off" if name == "off" else "auto")
    build_map(
        MapOptions(
            KIND, options.root, str(directory / "mapped.txt"), directory / f"{name}.map", directory / f"{name}.work",
            method, poses=str(poses), training=TrainingOptions(minutes=1),
        ),
        TerminalProgress(),
    )  # fmt: skip


def _aligned(map_dir: Path, frames: Any) -> dict[str, Any]:
    """Figures of the frames after one rigid alignment, and how far poses were moved."""
    localizer = load_localizer(map_dir)
    evaluation = evaluate(localizer, frames)
    found = align(evaluation.records)
    truth = np.stack([record.true_map_from_camera for record in evaluation.records])
    moved = against(evaluation.records, found.map_from_truth @ truth, localizer.landmark_map.mapping_views)
    loops = localizer.landmark_map.manifest.training.get("loops", {})
    by = f"{loops['moved_m']['median']} m, {loops['turned_deg']['median']} deg" if "moved_m" in loops else ""
    return {**figures_of(replace(evaluation, records=moved).summary()), "moved": by}


if __name__ == "__main__":
    main()
