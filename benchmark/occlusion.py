"""Accuracy under a noise block over 10 to 70 % of height and width (figure 7 of the VS-Net paper).

python benchmark/occlusion.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split test
"""

from functools import partial

from inputs import data_of, opened, parser_of
from results import MEDIAN, RECALL_5CM, Results, figures_of

from vloc_ros.evaluation.corruptions import Corrupted, noise_block
from vloc_ros.evaluation.evaluate import evaluate

RATIOS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def main() -> None:
    options = parser_of(__doc__).parse_args()
    localizer, dataset = opened(options)
    columns = {
        "block": "{block_percent:.0f} %",
        "median": MEDIAN,
        "within 5 cm and 5 deg": RECALL_5CM,
        "rejected": "{rejected}",
        "wrong accepted": "{wrong_accepted}",
    }
    results = Results(data_of(options, len(dataset)), columns)
    for ratio in RATIOS:
        evaluation = evaluate(localizer, Corrupted(dataset, partial(noise_block, ratio=ratio)))
        results.add(block_percent=100 * ratio, **figures_of(evaluation.summary()))
    results.write(options.json)


if __name__ == "__main__":
    main()
