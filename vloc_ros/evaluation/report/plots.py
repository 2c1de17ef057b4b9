"""The plots of the reports: records in, figures out."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vloc_ros.evaluation.metrics import RECALL_LIMITS
from vloc_ros.evaluation.point_use import FrameUse
from vloc_ros.evaluation.records import Estimated, FrameRecord
from vloc_ros.evaluation.report.svg import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RED,
    SERIES,
    axes_of,
    logarithmic,
    thinned,
)
from vloc_ros.evaluation.report.time_axis import STATE_COLOURS, draw_states, mark_rejections, when_of, why_no_error
from vloc_ros.evaluation.uncertainty import is_right, recall_against_rejection, reliability
from vloc_ros.geometry.pose_error import RIGHT_POSE, PoseError

Float = NDArray[np.float64]
Runs = Mapping[str, Sequence[FrameRecord]]

LEAST_CM, LEAST_DEG = 0.05, 0.01  # errors on a logarithmic axis are not drawn smaller
LEGEND_STROKE = 4.0  # points: strokes may be too thin to see their colour
SCORES: Mapping[str, Callable[[Estimated], float]] = {
    "confidence": lambda estimate: estimate.confidence,
    "inliers": lambda estimate: estimate.inliers,
}


def errors_in_time(records: Sequence[FrameRecord]) -> Figure:
    """Translation and rotation error of each frame, and why there was none; over seconds where frames have stamps.

    Below, of a live run, a band with the relocalizer's state from each frame to the next.
    """
    heights = (1, 1, 0.09) if any(record.state for record in records) else (1, 1)
    figure, (centimetres, degrees, *band) = axes_of(height=3.8, rows=len(heights), sharex=True, heights=heights)
    when, unit_of_time = when_of(records)
    size = float(np.clip(70 / math.sqrt(len(records)), 3, 8))
    for axis, values, unit in ((centimetres, _centimetres(records), "cm"), (degrees, _degrees(records), "deg")):
        mark_rejections(axis, when, records)
        axis.plot(when, values, ".", ms=size, mew=0, color=BLUE)
        logarithmic(axis, "y")
        axis.set(ylabel=f"error, {unit}")
    if any(why_no_error(record) for record in records):
        handles, labels = centimetres.get_legend_handles_labels()
        for stroke in figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=8).get_lines():
            stroke.set_linewidth(LEGEND_STROKE)
    for axis in band:
        draw_states(axis, when, records)
        handles, labels = axis.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(STATE_COLOURS), fontsize=8)
    figure.axes[-1].set_xlabel(unit_of_time)
    return figure


def cumulative(runs: Runs) -> Figure:
    """What part of all frames is within an error, a rejected frame within none."""
    figure, (left, right) = axes_of(height=3.0, columns=2)
    limits_cm = sorted({limit.centimetres for limit in RECALL_LIMITS.values()})
    limits_deg = sorted({limit.degrees for limit in RECALL_LIMITS.values()})
    for axis, figures, limits, unit in (
        (left, _centimetres, limits_cm, "cm"),
        (right, _degrees, limits_deg, "deg"),
    ):
        for (name, records), colour in zip(runs.items(), _colours(runs), strict=True):
            values = np.sort(figures(records))  # NaN comes last
            axis.step(values, np.arange(1, len(values) + 1) / len(values), where="post", color=colour, label=name)
        for limit in limits:
            axis.axvline(limit, color=GREY, linewidth=0.8, linestyle=":")
        logarithmic(axis, "x")
        axis.set(ylim=(0, 1.02), xlabel=f"error below, {unit}")
    left.set_ylabel("part of all frames")
    if len(runs) > 1:
        left.legend(fontsize=8)
    return figure


def pairs(frames: Sequence[tuple[FrameRecord, FrameRecord]], across: str, upwards: str) -> Figure:
    """The errors of two runs on the same frames, on the far edge where one of them rejected it."""
    figure, (axis,) = axes_of(height=3.8)
    x, y = (_centimetres(run) for run in zip(*frames, strict=True))
    edge = 2 * float(np.nanmax([*x, *y, LEAST_CM]))
    both = np.isfinite(x) & np.isfinite(y)
    one = np.isfinite(x) ^ np.isfinite(y)
    axis.axline((1, 1), slope=1, color=GREY, linewidth=0.8, linestyle=":")
    axis.plot(x[both], y[both], ".", ms=4, mew=0, color=BLUE)
    axis.plot(np.nan_to_num(x[one], nan=edge), np.nan_to_num(y[one], nan=edge), "x", ms=4, color=RED)
    axis.set(xlim=(0.8 * LEAST_CM, 1.2 * edge), ylim=(0.8 * LEAST_CM, 1.2 * edge), aspect="equal")
    logarithmic(axis, "x")
    logarithmic(axis, "y")
    axis.set(xlabel=f"{across}: error, cm", ylabel=f"{upwards}: error, cm")
    return figure


def latency(runs: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Figure:
    """Median and 95th percentile of every stage, from the summaries."""
    stages = list(dict.fromkeys(stage for table in runs.values() for stage in table))
    figure, (axis,) = axes_of(height=0.9 + 0.33 * len(stages) * max(1, len(runs) * 0.7))
    height = 0.8 / len(runs)
    for index, ((name, table), colour) in enumerate(zip(runs.items(), _colours(runs), strict=True)):
        places = np.arange(len(stages)) + (index - (len(runs) - 1) / 2) * height
        for percentile, alpha in (("p95", 0.35), ("p50", 1.0)):
            widths = [table.get(stage, {}).get(percentile, 0.0) for stage in stages]
            label = f"{name} {percentile}" if len(runs) > 1 else percentile
            axis.barh(places, widths, height=0.9 * height, color=colour, alpha=alpha, label=label)
    axis.set_yticks(range(len(stages)), stages)
    axis.invert_yaxis()
    axis.set_xlabel("ms")
    axis.legend(fontsize=8)
    return figure


def figures_against_error(records: Sequence[FrameRecord]) -> Figure:
    """Inliers and confidence against the error, refused poses too."""
    figure, (inliers, confidence) = axes_of(height=3.0, columns=2)
    _scatter_against_error(inliers, records, lambda r: r.solved.inliers if r.solved else None)
    _scatter_against_error(confidence, records, lambda r: r.solved.confidence if r.solved else None)
    inliers.set(xlabel="inliers", ylabel="error, cm")
    confidence.set_xlabel("confidence")
    inliers.legend(fontsize=8)
    return figure


def distance_against_error(records: Sequence[FrameRecord]) -> Figure:
    """How far the nearest mapping view is against the error."""
    figure, (metres, degrees) = axes_of(height=3.8, columns=2)
    _scatter_against_error(metres, records, lambda r: r.nearest_view.distance_m if r.nearest_view else None)
    _scatter_against_error(degrees, records, lambda r: r.nearest_view.angle_deg if r.nearest_view else None)
    metres.set(xlabel="nearest mapping view, m", ylabel="error, cm")
    degrees.set_xlabel("nearest mapping view, deg")
    metres.legend(fontsize=8)
    return figure


def reliability_diagram(records: Sequence[FrameRecord]) -> Figure:
    """Mean confidence against the share that was right, for all solved poses."""
    figure, (axis, amounts) = axes_of(height=3.0, columns=2)
    groups = reliability([record.solved for record in records if record.solved is not None])
    axis.plot([0, 1], [0, 1], color=GREY, linestyle=":")
    confidences, counts = [g.confidence for g in groups], np.array([g.count for g in groups])
    axis.plot(confidences, [g.accuracy for g in groups], color=BLUE, alpha=0.4)
    axis.scatter(confidences, [g.accuracy for g in groups], s=10 + 120 * counts / counts.max(), color=BLUE)
    axis.set(xlabel="confidence", ylabel=f"part within {RIGHT_POSE}", xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
    axis.set_aspect("equal")
    amounts.bar(confidences, counts, width=0.07, color=BLUE)
    amounts.set(xlabel="confidence", ylabel="poses", xlim=(0, 1.05))
    return figure


def squares_against_chi2(squares: Float) -> Figure:
    """The distribution of the NEES against that of true covariances."""
    figure, (axis,) = axes_of(height=3.0)
    limit = 30.0
    axis.hist(np.minimum(squares, limit), bins=np.linspace(0, limit, 31).tolist(), density=True, color=BLUE, alpha=0.7)
    x = np.linspace(0, limit, 200)
    axis.plot(x, x**2 * np.exp(-x / 2) / 16, color=ORANGE, label="true covariances")  # chi^2, 6 degrees of freedom
    axis.set(xlabel=f"squared error in sigmas (NEES), {limit:g} and more together", ylabel="density")
    axis.legend(fontsize=8)
    return figure


def rejection_curves(records: Sequence[FrameRecord]) -> Figure:
    """What part of the right poses is left when the frames that score worst are rejected."""
    figure, (axis,) = axes_of(height=3.0)
    axis.plot(*recall_against_rejection(records, is_right), color=GREY, linestyle=":", label="the best there can be")
    for (name, score), colour in zip(SCORES.items(), SERIES, strict=False):
        axis.plot(*recall_against_rejection(records, score), color=colour, label=f"by {name}")
    axis.set(xlabel="part of the frames rejected", ylabel="right poses left", xlim=(0, 1), ylim=(0, 1.02))
    axis.legend(fontsize=8)
    return figure


def matches(frames: Sequence[FrameUse]) -> Figure:
    """Matches and their inliers, without a pose and guided, of each frame."""
    figure, axes = axes_of(height=3.8, rows=2, sharex=True)
    number = np.arange(len(frames))
    for axis, title, found, inliers in (
        (axes[0], "without a pose", [each.matches for each in frames], [each.inliers for each in frames]),
        (axes[1], "guided", [each.guided_matches for each in frames], [each.guided_inliers for each in frames]),
    ):
        axis.bar(number, found, color=GREY, width=0.9, label="matches")
        axis.bar(number, inliers, color=BLUE, width=0.9, label="inliers")
        axis.set(ylabel=title)
    axes[0].legend(fontsize=8)
    axes[1].set(xlabel="frame")
    return figure


def histogram(values: Float, label: str, of: str = "landmarks") -> Figure:
    figure, (axis,) = axes_of(height=3.0)
    axis.hist(values, bins=40, color=BLUE)
    axis.set(xlabel=label, ylabel=of)
    return figure


def curves(tags: Mapping[str, Sequence[Sequence[float]]], prefix: str, label: str) -> Figure:
    """The training's curves whose tag begins with `prefix`."""
    figure, (axis,) = axes_of(height=3.0)
    chosen = {tag.removeprefix(prefix): points for tag, points in tags.items() if tag.startswith(prefix)}
    for (name, points), colour in zip(chosen.items(), SERIES, strict=False):
        axis.plot(*np.array(points).T, color=colour, linewidth=1, label=name)
    logarithmic(axis, "y")
    axis.set(xlabel="iteration", ylabel=label)
    axis.legend(fontsize=8)
    return figure


def _scatter_against_error(
    axis: Axes, records: Sequence[FrameRecord], value: Callable[[FrameRecord], float | None]
) -> None:
    for name, colour, accepted in (("accepted", BLUE, True), ("refused", RED, False)):
        chosen = [
            (x, max(LEAST_CM, 100 * r.solved.error.translation_m))
            for r in records
            if r.solved is not None and r.solved.error.in_right_place
            if isinstance(r.outcome, Estimated) is accepted and (x := value(r)) is not None
        ]
        if chosen:
            points = thinned(np.array(chosen, dtype=np.float64))
            axis.plot(*points.T, ".", ms=4, color=colour, alpha=0.7, label=name)
    logarithmic(axis, "y")
    axis.axhline(RIGHT_POSE.centimetres, color=INK, linewidth=0.6, linestyle=":")


def _centimetres(records: Sequence[FrameRecord]) -> Float:
    return np.array(
        [max(LEAST_CM, 100 * e.translation_m) if e and e.in_right_place else np.nan for e in _errors(records)]
    )


def _degrees(records: Sequence[FrameRecord]) -> Float:
    return np.array(
        [max(LEAST_DEG, math.degrees(e.rotation_rad)) if e and e.in_right_place else np.nan for e in _errors(records)]
    )


def _errors(records: Sequence[FrameRecord]) -> list[PoseError | None]:
    return [record.error for record in records]


def _colours(runs: Mapping[str, object]) -> list[str]:
    return [SERIES[index % len(SERIES)] for index in range(len(runs))]
