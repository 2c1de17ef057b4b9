"""Several maps in one run: size on the disk and time an image.

python benchmark/methods.py --maps MAP MAP ... --dataset seven_scenes --root DIR --poses FILE --split test

Image after image goes through all maps in turn, so that other load on the machine affects all of them alike.
"""

import argparse
from pathlib import Path

import numpy as np
from results import Results, add_json

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
    add_json(parser)
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
    columns = {"map": "{map}", "method": "{method}", "parameters": "{parameters_m:.2f} M", "size": "{size_mb:.2f} MB"}
    columns |= {f"{stage}, p50 / p95": f"{{{stage}_p50_ms:.1f}} / {{{stage}_p95_ms:.1f}} ms" for stage in STAGES}
    results = Results(f"Data: {len(timings[0])} images of {options.dataset}, split {options.split}", columns)
    for path, localizer, taken in zip(options.maps, localizers, timings, strict=True):
        manifest = localizer.landmark_map.manifest
        times: dict[str, float] = {}
        for stage in STAGES:
            percentiles = np.percentile([each[stage] for each in taken if stage in each], (50, 95)).tolist()
            times |= dict(zip((f"{stage}_p50_ms", f"{stage}_p95_ms"), percentiles, strict=True))
        results.add(
            map=path.name,
            method=f"{manifest.method} {manifest.training.get('preset', '')}",
            parameters_m=manifest.training.get("parameters", 0) / 1e6,
            size_mb=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6,
            **times,
        )
    results.write(options.json)


if __name__ == "__main__":
    main()
