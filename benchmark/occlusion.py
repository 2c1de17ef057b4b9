"""Accuracy under a noise block over 10 to 70 % of height and width (figure 7 of the VS-Net paper).

python benchmark/occlusion.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split test
"""

import argparse
from functools import partial

from vloc_ros.cli.options import add_dataset, add_map, add_split
from vloc_ros.datasets import open_dataset
from vloc_ros.evaluation.degrade import Degraded, noise_block
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.localizer import load_localizer

RATIOS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_map(parser)
    add_dataset(parser)
    add_split(parser, default="test")
    options = parser.parse_args()
    dataset = open_dataset(options.dataset, options.root, options.split, options.poses)
    localizer = load_localizer(options.map)
    print("block   median cm   median deg   within 5 cm 5 deg   rejected   wrong accepted")
    for ratio in RATIOS:
        summary = evaluate(localizer, Degraded(dataset, partial(noise_block, ratio=ratio))).summary()
        cm = 100 * (summary["median_translation_m"] or float("inf"))
        deg = summary["median_rotation_deg"] or float("inf")
        print(
            f"{100 * ratio:4.0f} % {cm:11.2f} {deg:12.2f} {100 * summary['recall_5cm_5deg']:17.1f} % "
            f"{summary['rejected']:10d} {summary['wrong_accepted']:16d}"
        )


if __name__ == "__main__":
    main()
