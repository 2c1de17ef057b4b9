"""Robustness to image corruptions: occlusion, blur, too little and too much light, and images that show no place.

python benchmark/corruptions.py --map MAP [MAP ...] --dataset seven_scenes --root DIR --poses FILE --split test

Several maps are asked of the same images in turn. The maps' confidence was calibrated on the same corruptions, but on
other frames. Whatever is accepted of a mirrored or a shuffled image is wrong. One thread.
"""

from typing import Any

import numpy as np
from in_turn import Answers, ask_in_turn, by_image, some_of, threads
from inputs import data_of, parser_of
from results import MEDIAN, RECALL_5CM, Results

from vloc_ros.datasets import open_dataset
from vloc_ros.evaluation.corruptions import CORRUPTIONS, Corrupted, Severity
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer

COLUMNS = {
    "images": "{images}",
    "map": "{map}",
    "median": MEDIAN,
    "within 5 cm and 5 deg": RECALL_5CM,
    "rejected": "{rejected}",
    "wrong accepted": "{wrong_accepted}",
    "confidence, accepted": "{confidence:.2f}",
}


def main() -> None:
    parser = parser_of(__doc__, several_maps=True)
    parser.add_argument("--images", type=int, default=200)
    options = parser.parse_args()
    frames = some_of(open_dataset(options.dataset, options.root, options.split, options.poses), options.images)
    session = SessionOptions("onnxruntime", threads=1)
    asked = {path.name: by_image(load_localizer(path, session)) for path in options.map}
    results = Results(data_of(options, len(frames)), COLUMNS)
    with threads(1):
        for corruption in CORRUPTIONS:
            answers = ask_in_turn(asked, Corrupted(frames, corruption.degrade))
            for name, answer in answers.items():
                results.add(images=corruption.name, map=name, **figures(answer, corruption.severity))
    results.write(options.json)


def figures(answer: Answers, severity: Severity) -> dict[str, Any]:
    """Those of the answers, with the mean confidence of what was accepted."""
    accepted = [confidence for confidence in answer.confidences if confidence is not None]
    found = {**answer.figures(), "confidence": float(np.mean(accepted)) if accepted else None}
    if severity is Severity.HOPELESS:  # there is no right pose
        found |= {"median_cm": None, "recall_5cm_5deg_percent": None, "wrong_accepted": len(accepted)}
    return found


if __name__ == "__main__":
    main()
