"""What a correction field changes: a map on images with known poses, with and without one.

python benchmark/correction.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split test

The field is the map's own or, for a map that has none, fitted to the frames of `--mapping-split` as `vloc map` does.
Covariances are those of the map's calibration, which knew of the field only if that is the map's own.
"""

import time
from dataclasses import replace

from inputs import data_of, opened, parser_of
from results import MEDIAN, RECALL_5CM, Results, figures_of

from vloc_ros.core.correction import CorrectionField
from vloc_ros.core.manifest import Calibration
from vloc_ros.core.types import LandmarkMap
from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.subset import split_held_out
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.localizer import Localizer
from vloc_ros.maps.correction_npz import encode_correction
from vloc_ros.training.calibrate import OPEN_GATE
from vloc_ros.training.correction import with_correction

COLUMNS = {
    "field": "{field}",
    "images": "{frames}",
    "median": MEDIAN,
    "within 5 cm, 5 deg": RECALL_5CM,
    "NEES / 6": "{nees:.2f}",
    "inside of 95 %": "{coverage_percent:.1f} %",
    "one pose": "{field_ms:.3f} ms",
    "size": "{field_kb:.1f} kB",
}
RUNS = 1000


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--mapping-split", default="train", help="the images that the map was made from")
    options = parser.parse_args()
    localizer, dataset = opened(options)
    landmark_map = localizer.landmark_map
    field = landmark_map.correction
    if field is None:
        mapping = open_dataset(options.dataset, options.root, options.mapping_split, options.poses)
        field = fitted(localizer, *split_held_out(mapping))
    results = Results(data_of(options, len(dataset)), COLUMNS)
    for name, tried in (("none", None), ("with", field)):
        if name == "with" and tried is None:
            break
        evaluation = evaluate(replace(localizer, landmark_map=replace(landmark_map, correction=tried)), dataset)
        summary = evaluation.summary()
        results.add(
            field=name,
            **figures_of(summary),
            nees=summary["nees"],
            coverage_percent=summary["coverage_95"] and 100 * summary["coverage_95"],
            **cost(tried, landmark_map),
        )
    results.write(options.json)


def fitted(localizer: Localizer, mapping: Dataset, held_out: Dataset) -> CorrectionField | None:
    """The field that `vloc map` would have given the map, and what it says of it."""
    landmark_map = localizer.landmark_map
    manifest = replace(landmark_map.manifest, calibration=Calibration(), gate=OPEN_GATE)
    as_made = replace(localizer, landmark_map=replace(landmark_map, manifest=manifest), thresholds=None)
    found, report = with_correction(as_made, mapping, held_out)
    print(report.describe() if report else "correction field: too few held-out frames to tell")
    return found.correction


def cost(field: CorrectionField | None, landmark_map: LandmarkMap) -> dict[str, float]:
    """Time of one correction, size of the file."""
    if field is None:
        return {}
    poses = landmark_map.mapping_views[:: max(1, len(landmark_map.mapping_views) // 20)]
    field.step(poses[0])
    start = time.perf_counter()
    for run in range(RUNS):
        field.step(poses[run % len(poses)])
    seconds = time.perf_counter() - start
    return {"field_ms": 1000 * seconds / RUNS, "field_kb": len(encode_correction(field)) / 1000}


if __name__ == "__main__":
    main()
