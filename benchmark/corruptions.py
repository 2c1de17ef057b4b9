"""Robustness to image corruptions: occlusion, blur, too little and too much light, and images that show no place.

python benchmark/corruptions.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split test

The map's confidence was calibrated on the same corruptions, but on other frames. Whatever is accepted of a mirrored
or a shuffled image is wrong.
"""

import numpy as np
from inputs import data_of, opened, parser_of
from results import MEDIAN, RECALL_5CM, Results, figures_of

from vloc_ros.evaluation.corruptions import CORRUPTIONS, Corrupted, Severity
from vloc_ros.evaluation.evaluate import evaluate


def main() -> None:
    options = parser_of(__doc__).parse_args()
    localizer, dataset = opened(options)
    columns = {
        "images": "{images}",
        "median": MEDIAN,
        "within 5 cm and 5 deg": RECALL_5CM,
        "rejected": "{rejected}",
        "wrong accepted": "{wrong_accepted}",
        "confidence, accepted": "{confidence:.2f}",
    }
    results = Results(data_of(options, len(dataset)), columns)
    for corruption in CORRUPTIONS:
        evaluation = evaluate(localizer, Corrupted(dataset, corruption.degrade))
        accepted = [r.solved.confidence for r in evaluation.records if r.error is not None and r.solved is not None]
        figures = figures_of(evaluation.summary())
        if corruption.severity is Severity.HOPELESS:  # there is no right pose
            figures |= {"median_cm": None, "recall_5cm_5deg_percent": None, "wrong_accepted": len(accepted)}
        mean = float(np.mean(accepted)) if accepted else None
        results.add(images=corruption.name, confidence=mean, **figures)
    results.write(options.json)


if __name__ == "__main__":
    main()
