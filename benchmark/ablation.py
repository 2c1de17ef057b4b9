"""Short trainings that differ in one thing, as tables 3 and 4 of VS-Net's paper or 8 and 9 of HSCNet++'s.

python benchmark/ablation.py --dataset seven_scenes --root DIR --poses FILE --workdir DIR [--method hscnet] [--epochs 5]

All variants see every image equally often and are measured on the other split; each row is printed when it is there; a
run that was interrupted goes on. Where points are sparse, their reprojection sets in at half of the epochs. Every
number is of one run: differences of a fifth mean nothing.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from results import MEDIAN, RECALL_5CM, Results, add_json, figures_of

from vloc_ros.cli.options import add_dataset
from vloc_ros.datasets import open_dataset
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.localizer import load_localizer
from vloc_ros.training.hscnet.options import HSCNetOptions, Preset
from vloc_ros.training.map_options import MapOptions, TrainingOptions
from vloc_ros.training.method_options import MethodOptions
from vloc_ros.training.stages.build_map import build_map
from vloc_ros.training.vsnet.options import VSNetOptions

CORNERS = 500  # an image, about as many as a sparse reconstruction knows


def _sparse(preset: Preset, reach: int) -> HSCNetOptions:
    return HSCNetOptions(preset=preset, sparsify=CORNERS, reach=reach)


VARIANTS: Mapping[str, Mapping[str, MethodOptions]] = {
    "vsnet": {  # each changes one thing
        "base": VSNetOptions(),
        "landmarks 500": VSNetOptions(landmarks=500),
        "landmarks 2000": VSNetOptions(landmarks=2000),
        "triplet, mined negatives (paper)": VSNetOptions(loss="triplet"),
        "triplet, random negatives": VSNetOptions(loss="triplet_random"),
        "no direction loss": VSNetOptions(direction=0.0),
        "votes at stride 2": VSNetOptions(stride=2),
        "votes at stride 8": VSNetOptions(stride=8),
        "full cross-entropy": VSNetOptions(loss="cross_entropy"),
    },
    "hscnet": {
        "hscnet": HSCNetOptions(),
        "hscnet++": HSCNetOptions(preset="small++"),
        "no conditioning": HSCNetOptions(variant="unconditioned"),
        "regression only": HSCNetOptions(branching=()),
        "classification only, 25x25x8": HSCNetOptions(variant="classification", branching=(25, 25, 8)),
        **{f"sparse hscnet++, z = {z}": _sparse("small++", z) for z in (0, 3, 5, 9)},
        "sparse hscnet, z = 5": _sparse("small", 5),
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_dataset(parser)
    parser.add_argument("--method", choices=tuple(VARIANTS), default="vsnet")
    parser.add_argument("--splits", nargs=2, default=("train", "test"), metavar=("TRAIN", "TEST"))
    parser.add_argument("--workdir", type=Path, required=True, help="for the maps and their checkpoints")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--only", nargs="+", help="names of the variants to run")
    add_json(parser)
    options = parser.parse_args()
    base = MapOptions(
        dataset=options.dataset,
        root=options.root,
        split=options.splits[0],
        out=options.workdir / "base",
        workdir=options.workdir / "base.work",
        method=next(iter(VARIANTS[options.method].values())),
        poses=options.poses,
        novel_views=0.0,  # what the papers learn from
        training=TrainingOptions(epochs=options.epochs),
    )
    test = open_dataset(options.dataset, options.root, options.splits[1], options.poses)
    columns = {
        "variant": "{variant}",
        "landmarks": "{landmarks:,}",
        "iterations": "{iterations:,}",
        "minutes": "{minutes:.1f}",
        "median": MEDIAN,
        "within 5 cm and 5 deg": RECALL_5CM,
        "rejected; wrong accepted": "{rejected}; {wrong_accepted}",
    }
    where = options.root.name if options.root else options.dataset
    results = Results(f"Data: {where}, {len(test)} test images; {options.epochs} epochs, one run each", columns)
    for name, method in VARIANTS[options.method].items():
        if options.only and name not in options.only:
            continue
        folder = name.replace(" ", "_").replace(",", "")
        out, workdir = options.workdir / folder, options.workdir / f"{folder}.work"
        if isinstance(method, HSCNetOptions) and method.is_sparse:
            method = replace(method, reprojection_from=options.epochs // 2)
        build_map(replace(base, method=method, out=out, workdir=workdir))
        localizer = load_localizer(out)
        training = localizer.landmark_map.manifest.training
        results.add(
            variant=name,
            landmarks=len(localizer.landmark_map),
            iterations=training["iterations"],
            minutes=training["minutes"],
            **figures_of(evaluate(localizer, test).summary()),
        )
    results.write(options.json)


if __name__ == "__main__":
    main()
