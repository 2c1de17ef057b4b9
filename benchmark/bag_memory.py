"""Peak memory of evaluating a bag, by the size of the bag.

python benchmark/bag_memory.py [--gigabytes 0.1 10] [--storage mcap sqlite3] [--folder .]

Writes each bag into `--folder`, 640x480 raw images with ground truth, evaluates it as `vloc evaluate --bag` does, but
for the poses, which are made up, and deletes it. Writing and evaluating run in processes of their own. A bag that would
leave less than 5 GB of the disk is left out.
"""

import argparse
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from results import Results, add_json

from vloc_ros.bags import messages
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import CAMERA_INFO, POSE, RAW_IMAGE
from vloc_ros.bags.writer import STORAGES, Storage, open_writer
from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.query import Query
from vloc_ros.core.types import CameraImage, PoseEstimate
from vloc_ros.evaluation.alignment import Correction
from vloc_ros.evaluation.evaluate_bag import evaluate_bag
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.shipped import shipped

GB = 1e9
SPARED_BYTES = 5 * GB
CAMERA = Camera(640, 480, 500.0, 500.0, 319.5, 239.5)
IMAGE_BYTES = 3 * CAMERA.width * CAMERA.height
FRAME = "camera"
POINTS = Correspondences(np.zeros((4, 2)), np.zeros((4, 3)), np.ones(4), np.arange(4, dtype=np.int32))


@dataclass(frozen=True, eq=False)
class MakingUp(Localizer):
    """Says that every image was taken at the map's origin."""

    def localize(self, asked: Query | CameraImage) -> PoseEstimate:
        return PoseEstimate(np.eye(4), np.eye(6), POINTS, np.ones(4, dtype=np.bool_), 1.0, 0.5, {"total": 1.0})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.1, 10.0], metavar="GB")
    parser.add_argument("--storage", choices=STORAGES, nargs="+", default=STORAGES)
    parser.add_argument("--folder", type=Path, default=Path(), help="where the bags are for a while (default: here)")
    add_json(parser)
    options = parser.parse_args()
    columns = {
        "bag": "{storage}, {gigabytes:.2f} GB, {images:,} images",
        "peak": "{peak_mb:.0f} MB",
        "before the bag was opened": "{before_mb:.0f} MB",
        "time": "{seconds:.0f} s",
    }
    results = Results("Data: 640x480 raw images, poses made up", columns)
    for storage in options.storage:
        for gigabytes in options.gigabytes:
            if shutil.disk_usage(options.folder).free < gigabytes * GB + SPARED_BYTES:
                print(f"{storage:8}{gigabytes:6g} GB  left out: too little room in {options.folder}")
                continue
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                bag = Path(folder) / "bag"
                alone(write, bag, storage, round(gigabytes * GB / IMAGE_BYTES))
                results.add(storage=storage, **alone(evaluate, bag))
    results.write(options.json)


def alone(work: Callable[..., Any], *arguments: object) -> Any:
    """Do it in a fresh process. Returns what it returns."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(work, *arguments).result()


def write(path: Path, storage: Storage, images: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (CAMERA.height, CAMERA.width, 3), dtype=np.uint8)
    with open_writer(path, storage) as bag:
        for index in range(images):
            stamp_ns = NS_PER_S + index * NS_PER_S // 30
            bag.write("/pose", POSE, stamp_ns, messages.pose(stamp_ns, "map", np.eye(4)))
            bag.write("/camera_info", CAMERA_INFO, stamp_ns, messages.camera_info(stamp_ns, FRAME, CAMERA))
            bag.write("/image", RAW_IMAGE, stamp_ns, messages.image(stamp_ns, FRAME, rgb))


def evaluate(path: Path) -> dict[str, float]:
    localizer = MakingUp(**vars(load_localizer(shipped("maps/demo_room"))))
    loaded_mb, begin_s = peak_mb(), time.perf_counter()
    evaluation = evaluate_bag(localizer, path, BagOptions(), Correction())
    seconds = time.perf_counter() - begin_s
    (file,) = (part for part in path.iterdir() if part.suffix != ".yaml")
    return {
        "gigabytes": file.stat().st_size / GB,
        "images": len(evaluation.records),
        "peak_mb": peak_mb(),
        "before_mb": loaded_mb,
        "seconds": seconds,
    }


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
