"""Accuracy of a map on images with known poses, as one row of the table of all methods and data sets.

python benchmark/accuracy.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split test --data NAME \\
    [--into docs/benchmarks/results/accuracy.json]

`--into` replaces the file's row of the same method, data and training, or adds it; `benchmark/tables.py` then makes
the page. `--data` is what the images are called there.
"""

import json
from pathlib import Path
from typing import Any

from inputs import opened, parser_of
from results import circumstances, figures_of

from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.files import write_text
from vloc_ros.localizer import Localizer

NAMES = {"vsnet": "VS-Net", "hscnet": "HSCNet", "pram": "PRAM"}
SAME = ("method", "data", "training")  # of one row


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--data", required=True, help="what the images are called in the table")
    parser.add_argument("--into", type=Path, metavar="FILE", help="the results that the row becomes a part of")
    options = parser.parse_args()
    localizer, dataset = opened(options)
    row = {
        **described(localizer),
        "data": options.data,
        **figures_of(evaluate(localizer, dataset).summary()),
        "map_mb": round(sum(f.stat().st_size for f in options.map.rglob("*") if f.is_file()) / 1e6, 2),
        **{name: circumstances()[name] for name in ("date", "commit", "hardware")},
    }
    print(json.dumps(row, indent=1))
    if options.into:
        results = json.loads(options.into.read_text(encoding="utf-8"))
        rows = [other for other in results["rows"] if any(other.get(name) != row[name] for name in SAME)]
        results["rows"] = sorted([*rows, row], key=lambda each: str(each["data"]))
        write_text(options.into, json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def described(localizer: Localizer) -> dict[str, Any]:
    """Which method it is, and how long it was trained."""
    manifest = localizer.landmark_map.manifest
    training, features = manifest.training, manifest.features
    kind = training.get("preset", "") if features is None else f"{features.name}, recognition {training['recognition']}"
    length = f"{training.get('minutes', 0):.0f} min, {training.get('iterations', 0):,} iterations"
    return {
        "method": f"{NAMES[manifest.method]} `{kind}`",
        "training": length if training.get("iterations") else "none",
    }


if __name__ == "__main__":
    main()
