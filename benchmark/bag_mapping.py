"""A map of a bag with raw depth beside one of the same frames as they lie in a data set; memory of a large bag.

python benchmark/bag_mapping.py --dataset seven_scenes --root DIR --poses FILE --split train [--every 2] \\
    [--test-split SPLIT] --folder DIR
python benchmark/bag_mapping.py --gigabytes 10 --folder DIR

The first writes the frames of a split as a bag, depth as its own camera recorded it, with that one's camera_info and TF
between the two, makes a map with PRAM of the bag and one of the data set, and localizes the same frames in both: those
of every fifth block of ten, which neither map was made from, or those of `--test-split`. The second writes a bag of so
many GB, colour and raw depth of noise, and unpacks it as `vloc map --dataset bag` does, in a process of its own.
`--folder` keeps what was made: given again, the maps are not made again.
"""

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from bag_memory import CAMERA, FRAME, GB, alone, peak_mb
from in_turn import ask_in_turn, by_image, threads
from results import MEDIAN, RECALLS, Results, add_json

from vloc_ros.bags import messages
from vloc_ros.bags.reader import CAMERA_INFO, POSE, RAW_IMAGE, STATIC_TF_TOPIC, TF
from vloc_ros.bags.writer import open_writer
from vloc_ros.cli import main as vloc
from vloc_ros.cli.options import add_dataset, add_split
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.bag_recording import KEYFRAMES, RecordingOptions, unpack_recording
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.localizer import load_localizer

BLOCK, BLOCKS = 10, 5  # of frames; each fifth is held out
DEPTH_FRAME = "depth"
ACCURACY = {"map of": "{map}", "made from": "{mapped} frames", "localized": "{frames}", "median": MEDIAN, **RECALLS}
MEMORY = {
    "bag": "{gigabytes:.2f} GB, {images:,} images with depth",
    "keyframes": "{keyframes}",
    "peak": "{peak_mb:.0f} MB",
    "before the bag was opened": "{before_mb:.0f} MB",
    "time": "{seconds:.0f} s",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_dataset(parser, required=False)
    add_split(parser, default="train")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth frame of the split")
    parser.add_argument("--test-split", metavar="SPLIT", help="localize these, and map all frames of --split")
    parser.add_argument(
        "--gigabytes", type=float, metavar="GB", help="measure the memory that a bag of this size needs"
    )
    parser.add_argument("--folder", type=Path, required=True, help="where bags and maps are")
    add_json(parser)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.gigabytes:
        results = Results("Data: 640x480 raw images and depth of noise", MEMORY)
        bag = options.folder / "large"
        try:
            alone(write_large, bag, round(options.gigabytes * GB / (5 * CAMERA.width * CAMERA.height)))
            results.add(**alone(unpack, bag, options.folder / "keyframes"))
        finally:
            shutil.rmtree(bag, ignore_errors=True)
            shutil.rmtree(options.folder / "keyframes", ignore_errors=True)
    else:
        results = Results(f"Data: {options.dataset} {options.root}, split {options.split}", ACCURACY)
        compare(options, results)
    results.write(options.json)


def compare(options: argparse.Namespace, results: Results) -> None:
    """Make both maps, and ask them for the same frames."""
    folder: Path = options.folder
    names = open_dataset(options.dataset, options.root, options.split, options.poses).names[:: options.every]
    held_out = [name for row, name in enumerate(names) if row // BLOCK % BLOCKS == BLOCKS // 2]
    mapped = names if options.test_split else [name for name in names if name not in set(held_out)]
    split = folder / "mapped.txt"
    split.write_text("\n".join(mapped) + "\n")
    (folder / "held_out.txt").write_text("\n".join(held_out) + "\n")
    poses = ["--poses", str(options.poses)] if options.poses else []
    source = ["--dataset", options.dataset, "--root", str(options.root), "--split", str(split), *poses]
    if not (folder / "bag").exists():
        run(["bag", *source, "--depth", "raw", "--out", str(folder / "bag")])
    sources = {"the data set": source, "the bag": ["--dataset", "bag", "--root", str(folder / "bag")]}
    maps = {name: folder / f"{name.split()[1]}.map" for name in sources}
    for name, arguments in sources.items():
        if not maps[name].exists():
            run(["map", "--method", "pram", *arguments, "--out", str(maps[name])])
    asked = options.test_split or str(folder / "held_out.txt")
    frames = open_dataset(options.dataset, options.root, asked, options.poses)
    localizers = {name: load_localizer(path) for name, path in maps.items()}
    with threads(1):
        answers = ask_in_turn({name: by_image(localizer) for name, localizer in localizers.items()}, frames)
    for name, localizer in localizers.items():
        made_from = len(localizer.landmark_map.mapping_views)
        results.add(map=name, mapped=made_from, **answers[name].figures())


def run(arguments: list[str]) -> None:
    if code := vloc(arguments):
        raise SystemExit(code)


def write_large(path: Path, images: int) -> None:
    """Noise on a way along which every image is a keyframe's candidate."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (CAMERA.height, CAMERA.width, 3), dtype=np.uint8)
    depth = rng.uniform(0.5, 4.0, (CAMERA.height, CAMERA.width)).astype(np.float32)
    color_from_depth = from_quaternion((0.0, 0.0, 0.0, 1.0), (-0.025, 0.0, 0.0))
    with open_writer(path) as bag:
        link = messages.transform(NS_PER_S, FRAME, DEPTH_FRAME, color_from_depth)
        bag.write(STATIC_TF_TOPIC, TF, NS_PER_S, messages.transforms(link))
        for index in range(images):
            at = NS_PER_S + index * NS_PER_S // 30
            pose = from_quaternion((0.0, 0.0, 0.0, 1.0), (0.06 * index, 0.0, 0.0))
            bag.write("/pose", POSE, at, messages.pose(at, "map", pose))
            for topic, frame in (("/camera", FRAME), ("/depth", DEPTH_FRAME)):
                bag.write(f"{topic}/camera_info", CAMERA_INFO, at, messages.camera_info(at, frame, CAMERA))
            bag.write("/camera/image_raw", RAW_IMAGE, at, messages.image(at, FRAME, rgb))
            bag.write("/depth/image_raw", RAW_IMAGE, at, messages.depth_image(at, DEPTH_FRAME, depth))


def unpack(path: Path, folder: Path) -> dict[str, Any]:
    before, begin_s = peak_mb(), time.perf_counter()
    record = unpack_recording(path, folder, RecordingOptions(keyframes=KEYFRAMES), "map")
    size = sum(part.stat().st_size for part in path.iterdir())
    return {
        "gigabytes": size / GB,
        "images": record["images"],
        "keyframes": record["keyframes"],
        "peak_mb": peak_mb(),
        "before_mb": before,
        "seconds": time.perf_counter() - begin_s,
    }


if __name__ == "__main__":
    main()
