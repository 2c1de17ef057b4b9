"""Overhead of evaluating a bag over localization alone: reading, decoding, ground truth, metrics.

python benchmark/bag_overhead.py --map maps/demo_room --dataset synthetic_room --split drive [--images 1000]
    [--jpeg 90] [--storage sqlite3] [--compression file]

Writes a bag of as many images (the split, again and again), localizes them from memory, evaluates the bag, and
localizes them from memory again, so that a computer that slows down meanwhile does not count against the bag.
"""

import tempfile
import time
from itertools import islice
from pathlib import Path

from inputs import data_of, parser_of
from results import Results

from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import open_bag
from vloc_ros.bags.writer import COMPRESSIONS, STORAGES
from vloc_ros.cli.progress_bar import frame_bar
from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.bag_export import WriteOptions, write_dataset
from vloc_ros.datasets.bag_frames import bag_frames
from vloc_ros.datasets.drive import LOOKING_AHEAD
from vloc_ros.datasets.subset import Subset
from vloc_ros.evaluation.alignment import Correction
from vloc_ros.evaluation.evaluate_bag import evaluate_bag
from vloc_ros.localizer import Localizer, load_localizer

IN_MEMORY = 100  # images at a time


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--images", type=int, default=1000, metavar="COUNT")
    parser.add_argument("--jpeg", type=int, metavar="QUALITY")
    parser.add_argument("--storage", choices=STORAGES, default="mcap")
    parser.add_argument("--compression", choices=COMPRESSIONS, default="none")
    options = parser.parse_args()
    split = open_dataset(options.dataset, options.root, options.split, options.poses)
    dataset = Subset(split, [index % len(split) for index in range(options.images)])
    localizer = load_localizer(options.map)
    localizer.warm_up()
    wanted = WriteOptions(storage=options.storage, compression=options.compression, jpeg_quality=options.jpeg)
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / "bag"
        _write(bag, dataset, wanted)
        size_mb = sum(part.stat().st_size for part in bag.iterdir()) / 1e6
        before_s = _localize_only(localizer, bag)
        begin_s = time.perf_counter()
        evaluation = evaluate_bag(localizer, bag, BagOptions(), Correction())
        evaluate_s = time.perf_counter() - begin_s
        after_s = _localize_only(localizer, bag)
    assert len(evaluation.records) == len(dataset)
    per_image = 1e3 / len(dataset)
    results = Results(
        data_of(options, len(dataset)) + f"; the bag has {size_mb:.0f} MB", {"": "{what}", "an image": "{ms:.1f} ms"}
    )
    results.add(what="localization alone, before", ms=before_s * per_image)
    results.add(what="evaluating the bag", ms=evaluate_s * per_image)
    results.add(what="localization alone, after", ms=after_s * per_image)
    results.write(options.json)


def _write(bag: Path, dataset: Dataset, wanted: WriteOptions) -> None:
    with frame_bar() as advance:
        write_dataset(bag, dataset, LOOKING_AHEAD, wanted, advance)


def _localize_only(localizer: Localizer, path: Path) -> float:
    """Seconds in `localize()` for all images of a bag, each in memory before the time counts."""
    seconds = 0.0
    with open_bag(path) as bag:
        frames = iter(bag_frames(bag, BagOptions(), localizer.landmark_map.manifest.frame_id))
        while batch := list(islice(frames, IN_MEMORY)):
            begin_s = time.perf_counter()
            for frame in batch:
                localizer.localize(frame.image)
            seconds += time.perf_counter() - begin_s
    return seconds


if __name__ == "__main__":
    main()
