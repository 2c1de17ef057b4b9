"""Puts four plots of an evaluation's report into one picture, report.png beside this script.

python docs/pictures/report.py --map maps/demo_room --dataset synthetic_room --split test
"""

import argparse
import io
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vloc_ros.cli.options import add_dataset, add_map, add_split
from vloc_ros.datasets import open_dataset
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.evaluation.report import floor_plan, plots
from vloc_ros.evaluation.report.svg import plotting
from vloc_ros.localizer import load_localizer

DPI, COLOURS = 110, 64
# The page colours these by its own style, light or dark.
PRINTED = {"grid.color": "#d5dae1", "axes.edgecolor": "#98a2b0"}


def drawn(figure: Figure, height: float) -> NDArray[np.uint8]:
    """BGR pixels of a plot on a white ground, with this height in inches."""
    figure.set_size_inches(figure.get_size_inches()[0], height)
    file = io.BytesIO()
    figure.savefig(file, dpi=DPI, facecolor="white")
    return np.asarray(cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_map(parser)
    add_dataset(parser)
    add_split(parser, default="test")
    options = parser.parse_args()
    localizer = load_localizer(options.map)
    evaluation = evaluate(localizer, open_dataset(options.dataset, options.root, options.split, options.poses))
    records = evaluation.records
    with plotting(), mpl.rc_context(PRINTED):
        figures = [
            floor_plan.path(records, localizer.landmark_map, next(iter(floor_plan.SIDES))),
            plots.cumulative({"": records}),
            plots.errors_in_time(records),
            plots.reliability_diagram(records),
        ]
        pictures = [drawn(figure, height) for figure, height in zip(figures, (3.6, 3.6, 3.4, 3.4), strict=True)]
    picture = np.vstack([np.hstack(pictures[:2]), np.hstack(pictures[2:])])
    levels = np.round(picture / 255 * (COLOURS - 1)) * 255 / (COLOURS - 1)  # fewer colours make a smaller file
    cv2.imwrite(str(Path(__file__).with_name("report.png")), levels.astype(np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
