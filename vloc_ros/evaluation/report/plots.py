"""The plots of the reports: records in, figures out."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vloc_ros.core.types import LandmarkMap
from vloc_ros.evaluation.metrics import RECALL_LIMITS
from vloc_ros.evaluation.records import Estimated, FrameRecord
from vloc_ros.evaluation.report.svg import BLUE, FAINT, GREY, INK, ORANGE, RED, SERIES, axes_of, logarithmic
from vloc_ros.evaluation.uncertainty import recall_against_rejection, reliability

Float = NDArray[np.float64]
Runs = Mapping[str, Sequence[FrameRecord]]

MOST_POINTS = 2000  # of a scatter plot: more are thinned evenly
LEAST_CM, LEAST_DEG = 0.05, 0.01  # errors on a logarithmic axis are not drawn smaller
WORST_COLOUR_CM = 10.0
LEAST_MARGIN_M = 0.3  # around a path
COLOURS = "plasma"


def principal_axes(points: Float) -> Float:
    """Rows: the directions of a cloud (N, 3) by falling spread. A place is usually wider than high, so that the last
    is up or down: nothing else in a map says where up is."""
    _, _, directions = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    return np.asarray(directions, dtype=np.float64)


def paths(records: Sequence[FrameRecord], landmarks: Float) -> Figure:
    """Truth and estimates, seen along the least direction of the landmarks (from above, usually) and the middle one."""
    figure, views = axes_of(height=6.4, rows=2)
    axes = principal_axes(landmarks)
    truth = np.array([record.true_map_from_camera[:3, 3] for record in records])
    accepted = [record.outcome for record in records if isinstance(record.outcome, Estimated)]
    rejected = np.array([not isinstance(record.outcome, Estimated) for record in records])
    for view, (across, up, name) in zip(views, ((0, 1, "from above"), (0, 2, "from the side")), strict=True):
        plane = axes[[across, up]]
        cloud = _thinned(landmarks) @ plane.T
        view.scatter(cloud[:, 0], cloud[:, 1], s=2, color=FAINT, linewidths=0)
        view.plot(*(truth @ plane.T).T, ".", ms=2, color=GREY, label="truth")
        if accepted:
            points = np.array([estimate.map_from_camera[:3, 3] for estimate in accepted]) @ plane.T
            errors = [100 * estimate.error.translation_m for estimate in accepted]
            dots = _coloured(view, points, np.array(errors), _worst(errors))
            figure.colorbar(dots, ax=view, label="error, cm", pad=0.01, shrink=0.9)
        if rejected.any():
            view.plot(*(truth[rejected] @ plane.T).T, "x", ms=4, color=RED, label="rejected")
        low, high = (truth @ plane.T).min(axis=0), (truth @ plane.T).max(axis=0)
        margin = max(LEAST_MARGIN_M, 0.25 * float((high - low).max()))
        view.set_aspect("equal")
        view.set(title=name, xlabel="m", ylabel="m")
        view.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))
    views[0].legend(loc="best", fontsize=8)
    return figure


def errors_in_time(records: Sequence[FrameRecord]) -> Figure:
    """Translation and rotation error of each frame, and where there was none to be had."""
    figure, (centimetres, degrees) = axes_of(height=4.2, rows=2)
    frames = np.arange(len(records))
    for axis, values, unit in (
        (centimetres, _centimetres(records), "cm"),
        (degrees, _degrees(records), "deg"),
    ):
        axis.plot(frames, values, ".", ms=3, color=BLUE)
        logarithmic(axis, "y")
        for frame in frames[np.isnan(values)]:
            axis.axvspan(frame - 0.5, frame + 0.5, color=RED, alpha=0.35, linewidth=0)
        axis.set(ylabel=f"error, {unit}", xlim=(-1, len(records)))
    centimetres.set_title("red: rejected", fontsize=8, loc="right")
    degrees.set_xlabel("frame")
    return figure


def cumulative(runs: Runs) -> Figure:
    """What part of all frames is within an error, a rejected frame within none."""
    figure, (left, right) = axes_of(height=3.0, columns=2)
    limits_cm = sorted({100 * metres for metres, _ in RECALL_LIMITS.values()})
    limits_deg = sorted({degrees for _, degrees in RECALL_LIMITS.values()})
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
    figure, (metres, degrees) = axes_of(height=3.0, columns=2)
    _scatter_against_error(metres, records, lambda r: r.nearest_view.distance_m if r.nearest_view else None)
    _scatter_against_error(degrees, records, lambda r: r.nearest_view.angle_deg if r.nearest_view else None)
    metres.set(xlabel="nearest mapping view, m", ylabel="error, cm")
    degrees.set_xlabel("nearest mapping view, deg")
    metres.legend(fontsize=8)
    return figure


def reliability_diagram(records: Sequence[FrameRecord]) -> Figure:
    """What was said against what was right, for all solved poses."""
    figure, (axis, amounts) = axes_of(height=3.0, columns=2)
    groups = reliability([record.solved for record in records if record.solved is not None])
    axis.plot([0, 1], [0, 1], color=GREY, linestyle=":")
    axis.plot([g.said for g in groups], [g.right for g in groups], "o-", color=BLUE)
    axis.set(xlabel="confidence", ylabel="part within 5 cm and 5 deg", xlim=(0, 1.02), ylim=(0, 1.02))
    axis.set_aspect("equal")
    amounts.bar([g.said for g in groups], [g.count for g in groups], width=0.07, color=BLUE)
    amounts.set(xlabel="confidence", ylabel="poses", xlim=(0, 1.05))
    return figure


def squares_against_chi2(squares: Float) -> Figure:
    """The distribution of the NEES against that of true covariances."""
    figure, (axis,) = axes_of(height=2.8)
    limit = 30.0
    axis.hist(np.minimum(squares, limit), bins=np.linspace(0, limit, 31).tolist(), density=True, color=BLUE, alpha=0.7)
    x = np.linspace(0, limit, 200)
    axis.plot(x, x**2 * np.exp(-x / 2) / 16, color=ORANGE, label="true covariances")  # chi^2, 6 degrees of freedom
    axis.set(xlabel=f"squared error in sigmas (NEES), {limit:g} and more together", ylabel="density")
    axis.legend(fontsize=8)
    return figure


def rejection_curves(records: Sequence[FrameRecord]) -> Figure:
    """What part of the right poses is left when the frames that score worst are rejected."""
    figure, (axis,) = axes_of(height=2.8)
    scores: dict[str, Callable[[Estimated], float]] = {
        "confidence": lambda estimate: estimate.confidence,
        "inliers": lambda estimate: estimate.inliers,
    }
    for (name, score), colour in zip(scores.items(), SERIES, strict=False):
        axis.plot(*recall_against_rejection(records, score), color=colour, label=f"by {name}")
    axis.set(xlabel="part of the frames rejected", ylabel="right poses left", xlim=(0, 1), ylim=(0, 1.02))
    axis.legend(fontsize=8)
    return figure


def three_sides(landmark_map: LandmarkMap, values: Float, label: str) -> Figure:
    """The landmarks from three sides, coloured; the mapping views beside them."""
    figure, views = axes_of(width=7.6, height=6.4, rows=2, columns=2)
    axes = principal_axes(landmark_map.positions)
    centres = _thinned(landmark_map.mapping_views[:, :3, 3])
    high = float(np.percentile(values, 98))
    sides = ((0, 1, "from above"), (0, 2, "from the front"), (1, 2, "from the side"))
    for view, (across, up, name) in zip(views, sides, strict=False):
        plane = axes[[across, up]]
        points = landmark_map.positions @ plane.T
        dots = _coloured(view, points, values, high)
        if len(centres):
            view.plot(*(centres @ plane.T).T, ".", ms=1.5, color=GREY)
        view.set_aspect("equal")
        view.set(title=name, xlabel="m", ylabel="m")
    views[3].axis("off")
    figure.colorbar(dots, ax=views[3], label=label, location="left", shrink=0.8)
    return figure


def histogram(values: Float, label: str) -> Figure:
    figure, (axis,) = axes_of(height=2.4)
    axis.hist(values, bins=40, color=BLUE)
    axis.set(xlabel=label, ylabel="landmarks")
    return figure


def curves(tags: Mapping[str, Sequence[Sequence[float]]], prefix: str, label: str) -> Figure:
    """The training's curves whose tag begins with `prefix`."""
    figure, (axis,) = axes_of(height=2.8)
    chosen = {tag.removeprefix(prefix): points for tag, points in tags.items() if tag.startswith(prefix)}
    for (name, points), colour in zip(chosen.items(), SERIES, strict=False):
        axis.plot(*np.array(points).T, color=colour, linewidth=1, label=name)
    logarithmic(axis, "y")
    axis.set(xlabel="iteration", ylabel=label)
    axis.legend(fontsize=8)
    return figure


def _coloured(axis: Axes, points: Float, values: Float, high: float) -> PathCollection:
    """Dots (N, 2), coloured from 0 to `high`."""
    x, y = points.T
    return axis.scatter(x, y, s=9, c=values, cmap=COLOURS, vmin=0, vmax=high, linewidths=0)


def _scatter_against_error(
    axis: Axes, records: Sequence[FrameRecord], value: Callable[[FrameRecord], float | None]
) -> None:
    for name, colour, accepted in (("accepted", BLUE, True), ("refused", RED, False)):
        chosen = [
            (x, max(LEAST_CM, 100 * r.solved.error.translation_m))
            for r in records
            if r.solved is not None and isinstance(r.outcome, Estimated) is accepted and (x := value(r)) is not None
        ]
        if chosen:
            points = _thinned(np.array(chosen, dtype=np.float64))
            axis.plot(*points.T, ".", ms=4, color=colour, alpha=0.7, label=name)
    logarithmic(axis, "y")
    axis.axhline(5, color=INK, linewidth=0.6, linestyle=":")


def _centimetres(records: Sequence[FrameRecord]) -> Float:
    return np.array([max(LEAST_CM, 100 * r.error.translation_m) if r.error else np.nan for r in records])


def _degrees(records: Sequence[FrameRecord]) -> Float:
    return np.array([max(LEAST_DEG, math.degrees(r.error.rotation_rad)) if r.error else np.nan for r in records])


def _thinned(points: Float) -> Float:
    step = math.ceil(len(points) / MOST_POINTS) if len(points) else 1
    return points[::step]


def _worst(errors_cm: Sequence[float]) -> float:
    return max(1.0, min(WORST_COLOUR_CM, float(np.percentile(errors_cm, 98))))


def _colours(runs: Mapping[str, object]) -> list[str]:
    return [SERIES[index % len(SERIES)] for index in range(len(runs))]
