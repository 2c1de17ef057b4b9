"""Time and size of the report of many frames.

python benchmark/report.py --map MAP --dataset synthetic_room --split test [--frames 1000]

The data set is evaluated once, its records are repeated until there are enough; pictures are drawn as for any report.
"""

import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from inputs import data_of, opened, parser_of
from results import Results

from vloc_ros.datasets import Frame
from vloc_ros.evaluation.evaluate import Evaluation, evaluate
from vloc_ros.evaluation.report.evaluation_report import write_report


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--frames", type=int, default=1000)
    options = parser.parse_args()
    localizer, dataset = opened(options)
    once = evaluate(localizer, dataset).records
    records = (replace(once[k % len(once)], name=f"{k:06d}") for k in range(options.frames))

    def load(names: Collection[str]) -> Iterator[Frame]:
        return (replace(dataset.frame(int(name) % len(once)), name=name) for name in names)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        started = time.perf_counter()
        write_report(path, "report", Evaluation(tuple(records)), localizer, load)
        seconds, size = time.perf_counter() - started, path.stat().st_size
    columns = {"report of": "{frames} frames", "time": "{seconds:.1f} s", "size": "{size_mb:.1f} MB"}
    results = Results(data_of(options, len(dataset)), columns)
    results.add(frames=options.frames, seconds=seconds, size_mb=size / 1e6)
    results.write(options.json)


if __name__ == "__main__":
    main()
