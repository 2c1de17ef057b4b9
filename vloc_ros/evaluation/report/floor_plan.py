"""Plots of where things are: the path and the landmarks, from above and from the sides."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vloc_ros.core.types import LandmarkMap
from vloc_ros.evaluation.records import Estimated, FrameRecord
from vloc_ros.evaluation.report.svg import BLUE, FAINT, GREY, INK, ORANGE, RED, axes_of, thinned
from vloc_ros.evaluation.upright import upright_axes
from vloc_ros.geometry.transforms import Matrix

Float = NDArray[np.float64]

ABOVE = "from above"
SIDES = {ABOVE: (0, 1), "from the front": (0, 2), "from the side": (1, 2)}  # rows of `upright_axes`
UP_IS = "Up is where the level surfaces of the map face, starting from how the cameras were held."
ASPECT, SPAN = 1.1, np.array([-1.0, 1.0])  # of the space for a plot
MARGIN, LEAST_MARGIN_M = 0.15, 0.3
MOST_ARROWS = 100
BAD_CM, WORST_COLOUR_CM = 5.0, 10.0  # a colour between these and beyond is bad, whatever the other errors are
GOOD_TO_BAD = LinearSegmentedColormap.from_list("good_to_bad", [BLUE, ORANGE, RED])  # seen on white and on black
BAD_TO_GOOD = GOOD_TO_BAD.reversed()


def path(records: Sequence[FrameRecord], landmark_map: LandmarkMap, side: str) -> Figure:
    """Truth, and estimates coloured by their error, over the landmarks, all of one place; `side`: one of SIDES."""
    figure, (view,) = axes_of(height=3.6)
    plane = upright_axes(landmark_map)[list(SIDES[side])]
    truth = np.array([record.true_map_from_camera[:3, 3] for record in records]) @ plane.T
    accepted = [
        record.outcome for record in records if isinstance(record.outcome, Estimated) and _in_right_place(record)
    ]
    rejected = truth[[record.error is None for record in records]]
    elsewhere = truth[[not _in_right_place(record) for record in records]]
    view.plot(*(thinned(landmark_map.positions) @ plane.T).T, ".", ms=2, mew=0, color=GREY, alpha=0.5)
    view.plot(*truth.T, ".", ms=2.5, mew=0, color=INK, label="truth")
    if accepted:
        estimates = np.array([estimate.map_from_camera[:3, 3] for estimate in accepted]) @ plane.T
        errors = np.array([100 * estimate.error.translation_m for estimate in accepted])
        high = min(max(BAD_CM, float(np.percentile(errors, 98))), WORST_COLOUR_CM)
        _coloured(view, estimates, errors, high, "error, cm", GOOD_TO_BAD)
    if len(rejected):
        view.plot(*rejected.T, "x", ms=4, color=INK, zorder=4, label="rejected")
    if len(elsewhere):
        view.plot(*elsewhere.T, "x", ms=4, color=RED, zorder=4, label="taken for another place")
    finish(view, truth, side)
    view.legend(loc="upper left", fontsize=8)
    return figure


def _in_right_place(record: FrameRecord) -> bool:
    return record.error is None or record.error.in_right_place


def landmarks(
    landmark_map: LandmarkMap,
    values: Float,
    label: str,
    side: str,
    cameras: Matrix,
    *,
    least_high: float,
    few_is_bad: bool,
) -> Figure:
    """The landmarks coloured by `values` (N,), grey where NaN, and where `cameras` (V, 4, 4) looked. The colours end
    at `least_high`, or higher where most values are."""
    figure, (view,) = axes_of(height=3.6)
    plane = upright_axes(landmark_map)[list(SIDES[side])]
    points, known = landmark_map.positions @ plane.T, np.isfinite(values)
    view.plot(*points[~known].T, ".", ms=3, mew=0, color=FAINT)
    if known.any():
        high = max(least_high, float(np.percentile(values[known], 98)))
        _coloured(view, points[known], values[known], high, label, BAD_TO_GOOD if few_is_bad else GOOD_TO_BAD)
    shown = thinned(cameras, MOST_ARROWS)
    (x, y), (along, above) = (shown[:, :3, 3] @ plane.T).T, (shown[:, :3, 2] @ plane.T).T
    view.quiver(x, y, along, above, color=INK, alpha=0.6, width=0.003, headwidth=5, scale=20, zorder=4)
    finish(view, np.concatenate([points, cameras[:, :3, 3] @ plane.T]), side)
    return figure


def points(
    landmark_map: LandmarkMap, positions: Float, values: Float, label: str, *, few_is_bad: bool = True, size: float = 9
) -> Figure:
    """Points (N, 3) of a map of one place from above, coloured by `values` (N,), grey where NaN; `size`: of a dot."""
    figure, (view,) = axes_of(height=3.6)
    plane = positions @ upright_axes(landmark_map)[list(SIDES[ABOVE])].T
    known = np.isfinite(values)
    view.plot(*thinned(plane[~known]).T, ".", ms=2, mew=0, color=FAINT)
    if known.any():
        high = max(1.0, float(np.percentile(values[known], 98)))
        _coloured(view, plane[known], values[known], high, label, BAD_TO_GOOD if few_is_bad else GOOD_TO_BAD, size)
    finish(view, plane, ABOVE)
    return figure


def _coloured(
    view: Axes,
    points: Float,
    values: Float,
    high: float,
    label: str,
    colours: LinearSegmentedColormap,
    size: float = 9,
) -> None:
    """Dots (N, 2), coloured from 0 to `high`, and what the colours mean."""
    dots = view.scatter(
        points[:, 0], points[:, 1], s=size, c=values, cmap=colours, vmin=0, vmax=high, linewidths=0, zorder=3
    )
    beyond = "max" if values.max() > high else "neither"
    bar = view.figure.colorbar(dots, ax=view, label=label, pad=0.02, aspect=30, extend=beyond)
    bar.outline.set_visible(False)


def finish(view: Axes, points: Float, side: str) -> None:
    """Show what is around the points (N, 2), a metre as long upwards as across."""
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2, (high - low) / 2
    half = max(half[0], half[1] * ASPECT) * np.array([1, 1 / ASPECT]) * (1 + MARGIN) + LEAST_MARGIN_M / 2
    view.set(xlim=middle[0] + half[0] * SPAN, ylim=middle[1] + half[1] * SPAN)
    view.set_aspect("equal")
    view.set(title=side, xlabel="m", ylabel="m")
