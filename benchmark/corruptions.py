"""What a map says of images that are occluded, blurred, dark, glaring, or of nowhere: poses, or honest refusals?

python benchmark/corruptions.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split test

The map's confidence was calibrated on the same corruptions, but on other frames. Whatever is accepted of a mirrored
or a shuffled image is wrong.
"""

import numpy as np
from inputs import opened, parser_of

from vloc_ros.evaluation.corruptions import CORRUPTIONS, Corrupted, Severity
from vloc_ros.evaluation.evaluate import evaluate


def main() -> None:
    options = parser_of(__doc__).parse_args()
    localizer, dataset = opened(options)
    print("| images | median | within 5 cm and 5 deg | rejected | wrong accepted | confidence, accepted |")
    print(f"|{'---|' * 6}")
    for corruption in CORRUPTIONS:
        evaluation = evaluate(localizer, Corrupted(dataset, corruption.degrade))
        summary, count = evaluation.summary(), len(dataset)
        accepted = [r.solved.confidence for r in evaluation.records if r.error is not None and r.solved is not None]
        median_m, median_deg = summary["median_translation_m"], summary["median_rotation_deg"]
        hopeless = corruption.severity is Severity.HOPELESS
        median = "" if hopeless or median_m is None else f"{100 * median_m:.2f} cm, {median_deg:.2f} deg"
        recall = "" if hopeless else f"{summary['recall_5cm_5deg']:.1%}"
        wrong = len(accepted) if hopeless else summary["wrong_accepted"]
        confidence = f"{np.mean(accepted):.2f}" if accepted else ""
        print(
            f"| {corruption.name} | {median} | {recall} | {summary['rejected']} of {count} | {wrong} | {confidence} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
