"""What a track made of the frames: the path with fixes and filtered poses, how sure they are, how frames were searched,
and what that cost."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from numpy.typing import NDArray

from vloc_ros.core.types import LandmarkMap, worst_sigma
from vloc_ros.evaluation.records import FrameRecord, Tracked
from vloc_ros.evaluation.report.floor_plan import ABOVE, SIDES, finish
from vloc_ros.evaluation.report.page import plot, section, table
from vloc_ros.evaluation.report.plots import LEAST_CM
from vloc_ros.evaluation.report.svg import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    TEAL,
    axes_of,
    logarithmic,
    thinned,
)
from vloc_ros.evaluation.report.time_axis import when_of
from vloc_ros.evaluation.track_summary import WAYS, track_rows, track_summary, tracked_frames
from vloc_ros.evaluation.upright import upright_axes
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.tracking.status import CHECKED, FLOW, GLOBAL, PRIOR

Float = NDArray[np.float64]

SIGMAS = 2.0
MOST_ELLIPSES = 150
COLOURS = {GLOBAL: BLUE, PRIOR: ORANGE, FLOW: TEAL, CHECKED: GREEN}


def track_section(records: Sequence[FrameRecord], landmark_map: LandmarkMap | None) -> str:
    """Nothing where there is no track. `landmark_map`: of the one place that all frames are of, None for several."""
    summary = track_summary(records)
    if summary is None:
        return ""
    cards = [
        plot(in_time(records), f"Errors in time; band: {SIGMAS:g} standard deviations of the filtered position."),
    ]
    if landmark_map is not None:
        caption = f"Fixes and filtered poses; around them {SIGMAS:g} standard deviations; grey: the map's landmarks."
        cards.insert(0, plot(from_above(records, landmark_map), caption))
    return section("The track", *cards, table((), track_rows(summary)))


def from_above(records: Sequence[FrameRecord], landmark_map: LandmarkMap) -> Figure:
    """Truth, fixes by how they were searched, and filtered poses with their uncertainty, over the landmarks."""
    figure, (view,) = axes_of(height=3.6)
    plane = upright_axes(landmark_map)[list(SIDES[ABOVE])]
    found = tracked_frames(records)
    truth = np.array([record.true_map_from_camera[:3, 3] for record in records]) @ plane.T
    filtered = np.array([track.map_from_camera[:3, 3] for _, track in found]) @ plane.T
    view.plot(*(thinned(landmark_map.positions) @ plane.T).T, ".", ms=2, mew=0, color=GREY, alpha=0.5)
    for k in range(0, len(found), max(1, len(found) // MOST_ELLIPSES)):
        view.add_patch(_ellipse(filtered[k], plane @ found[k][1].covariance[:3, :3] @ plane.T))
    view.plot(*truth.T, "-", lw=2.5, color=INK, alpha=0.35, label="truth")
    view.plot(*filtered.T, "-", lw=1, color=PURPLE, label="filtered")
    for how, colour in COLOURS.items():
        fixes = _fixes(found, how)
        if len(fixes):
            view.plot(*(fixes @ plane.T).T, ".", ms=3, mew=0, color=colour, label=f"fixes, {WAYS[how]}")
    jumps = np.array([r.solved.map_from_camera[:3, 3] for r, t in found if t.jump and r.solved]).reshape(-1, 3)
    if len(jumps):
        view.plot(*(jumps @ plane.T).T, "x", ms=4, color=RED, label="fixes that were taken for jumps")
    finish(view, truth, ABOVE)
    view.legend(loc="upper left", fontsize=8)
    return figure


def in_time(records: Sequence[FrameRecord]) -> Figure:
    """Errors of fixes and of filtered positions; below, where it is known, the processor time of each frame."""
    found = tracked_frames(records)
    has_cpu = any(track.cpu_ms is not None for _, track in found)
    figure, axes = axes_of(height=3.8, rows=2 if has_cpu else 1, sharex=True, heights=(2, 1) if has_cpu else ())
    when, unit = when_of([record for record, _ in found])
    errors = np.array([100 * pose_error(t.map_from_camera, r.true_map_from_camera).translation_m for r, t in found])
    sigmas = np.array([100 * worst_sigma(t.covariance[:3, :3]) for _, t in found])
    axes[0].fill_between(when, LEAST_CM, SIGMAS * sigmas, color=PURPLE, alpha=0.2, linewidth=0)
    axes[0].plot(when, errors.clip(min=LEAST_CM), "-", lw=1, color=PURPLE, label="filtered")
    for how, colour in COLOURS.items():
        ours = [(x, r, t) for x, (r, t) in zip(when, found, strict=True) if t.search == how]
        right = [(x, r.error.translation_m) for x, r, _ in ours if r.error and r.error.in_right_place]
        if right:
            points = np.array([(x, max(LEAST_CM, 100 * error_m)) for x, error_m in right])
            axes[0].plot(*points.T, ".", ms=3, mew=0, color=colour, label=f"fixes, {WAYS[how]}")
        if has_cpu:
            told = [(x, t.cpu_ms) for x, _, t in ours if t.cpu_ms is not None]
            axes[1].plot(*np.array(told).reshape(-1, 2).T, ".", ms=3, mew=0, color=colour)
    logarithmic(axes[0], "y")
    axes[0].set(ylabel="error, cm")
    axes[0].legend(fontsize=8)
    if has_cpu:
        axes[1].set(ylabel="processor, ms", ylim=(0, None))
    axes[-1].set_xlabel(unit)
    return figure


def _fixes(found: Sequence[tuple[FrameRecord, Tracked]], how: str) -> Matrix:
    """Positions (N, 3) of those that were believed."""
    believed = [r.solved for r, t in found if t.search == how and not t.jump and r.error]
    return np.array([fix.map_from_camera[:3, 3] for fix in believed if fix]).reshape(-1, 3)


def _ellipse(centre: Float, covariance: Float) -> Ellipse:
    sizes, axes = np.linalg.eigh(covariance)
    width, height = 2 * SIGMAS * np.sqrt(sizes.clip(min=0))
    angle = float(np.degrees(np.arctan2(axes[1, 0], axes[0, 0])))
    return Ellipse((float(centre[0]), float(centre[1])), width, height, angle=angle, color=PURPLE, alpha=0.15, lw=0)
