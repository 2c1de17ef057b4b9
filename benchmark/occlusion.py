"""Accuracy under a noise block over 10 to 70 % of height and width (figure 7 of the VS-Net paper).

python benchmark/occlusion.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split test
"""

from functools import partial

from inputs import opened, parser_of

from vloc_ros.evaluation.corruptions import Corrupted, noise_block
from vloc_ros.evaluation.evaluate import evaluate

RATIOS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def main() -> None:
    options = parser_of(__doc__).parse_args()
    localizer, dataset = opened(options)
    print("block   median cm   median deg   within 5 cm 5 deg   rejected   wrong accepted")
    for ratio in RATIOS:
        summary = evaluate(localizer, Corrupted(dataset, partial(noise_block, ratio=ratio))).summary()
        cm = 100 * (summary["median_translation_m"] or float("inf"))
        deg = summary["median_rotation_deg"] or float("inf")
        print(
            f"{100 * ratio:4.0f} % {cm:11.2f} {deg:12.2f} {100 * summary['recall_5cm_5deg']:17.1f} % "
            f"{summary['rejected']:10d} {summary['wrong_accepted']:16d}"
        )


if __name__ == "__main__":
    main()
