"""What maps cost when they are used: size on the disk and time an image, of several maps in one run.

python benchmark/methods.py --maps MAP MAP ... --dataset seven_scenes --root DIR --poses FILE --split test

Image after image goes through all maps in turn, so that whatever else the machine does is shared fairly among them.
"""

import argparse
from pathlib import Path

import numpy as np

from vloc_ros.cli.options import add_dataset, add_session, add_split, session_options
from vloc_ros.datasets import open_dataset
from vloc_ros.localizer import load_localizer

STAGES = ("preprocess", "network", "pnp", "total")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", nargs="+", type=Path, required=True)
    add_dataset(parser)
    add_split(parser, default="test")
    add_session(parser)
    parser.add_argument("--images", type=int, default=100)
    options = parser.parse_args()
    dataset = open_dataset(options.dataset, options.root, options.split, options.poses)
    localizers = [load_localizer(path, session_options(options)) for path in options.maps]
    timings: list[list[dict[str, float]]] = [[] for _ in localizers]
    for localizer in localizers:
        localizer.warm_up()
    for index in np.linspace(0, len(dataset) - 1, min(options.images, len(dataset))).astype(int).tolist():
        image = dataset.frame(index).image
        for localizer, taken in zip(localizers, timings, strict=True):
            taken.append(dict(localizer.localize(image).timings_ms))
    print(
        f"{len(timings[0])} images\n| map | method | parameters | MB | " + " | ".join(f"{s} ms" for s in STAGES) + " |"
    )
    print("|---" * (4 + len(STAGES)) + "|")
    for path, localizer, taken in zip(options.maps, localizers, timings, strict=True):
        manifest = localizer.landmark_map.manifest
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6
        times = [np.percentile([each[stage] for each in taken if stage in each], (50, 95)) for stage in STAGES]
        preset, parameters = manifest.training.get("preset", ""), manifest.training.get("parameters", 0)
        print(
            f"| {path.name} | {manifest.method} {preset} | {parameters / 1e6:.2f} M | {size:.2f} | "
            + " | ".join(f"{p50:.1f} / {p95:.1f}" for p50, p95 in times)
            + " |"
        )


if __name__ == "__main__":
    main()
