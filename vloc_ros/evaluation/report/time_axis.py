"""Frames over time: when they were, where they were rejected, and the relocalizer's state."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from vloc_ros.evaluation.records import FrameRecord, Rejected
from vloc_ros.evaluation.report.svg import GREEN, GREY, ORANGE, PURPLE, RED, TEAL
from vloc_ros.tracking.state import State

Float = NDArray[np.float64]

LONG_STEP = 5.0  # times the usual one between frames: after that, nothing is known of the state
LEAST_DURATION_S = 0.1  # stamps that span less are numbers, not times
PLOT_WIDTH = 310.0  # points, about
STATE_COLOURS = {State.UNINITIALIZED: GREY, State.LOCALIZING: ORANGE, State.LOCALIZED: GREEN, State.LOST: RED}
REASON_COLOURS = (RED, ORANGE, PURPLE, GREEN, TEAL, GREY)


def when_of(records: Sequence[FrameRecord]) -> tuple[Float, str]:
    """Seconds since the first frame, or, where the stamps do not say, numbers of frames."""
    seconds = np.array([record.stamp_ns - records[0].stamp_ns for record in records]) / 1e9
    if len(seconds) > 1 and np.all(np.diff(seconds) > 0) and seconds[-1] > LEAST_DURATION_S:
        return seconds, "seconds"
    return np.arange(len(records), dtype=np.float64), "frame"


def mark_rejections(axis: Axes, when: Float, records: Sequence[FrameRecord]) -> None:
    """A stroke over the whole height for each frame without an error, in a colour for each reason."""
    reasons = [why_no_error(record) for record in records]
    width = max(0.8, PLOT_WIDTH / len(records))  # neighbours touch
    for reason, colour in zip(sorted(set(reasons) - {""}), REASON_COLOURS * len(reasons), strict=False):
        x = when[[given == reason for given in reasons]]
        axis.vlines(
            x, 0, 1, transform=axis.get_xaxis_transform(), colors=colour, alpha=0.35, linewidth=width, label=reason
        )


def why_no_error(record: FrameRecord) -> str:
    """Empty for a frame with an error."""
    if isinstance(record.outcome, Rejected):
        return f"rejected: {record.outcome.reason.replace('_', ' ')}"
    return "" if record.outcome.error.in_right_place else "in the wrong place"


def draw_states(axis: Axes, when: Float, records: Sequence[FrameRecord]) -> None:
    """A bar of its colour over each stretch of one state; none where frames are missing for long."""
    usual = float(np.median(np.diff(when))) if len(when) > 1 else 1.0
    ends = np.minimum(np.append(when[1:], when[-1] + usual), when + LONG_STEP * usual)
    touches_next = ends[:-1] == when[1:]
    for state, colour in STATE_COLOURS.items():
        here = np.array([record.state is state for record in records])
        inside = here[:-1] & here[1:] & touches_next
        starts = when[here & ~np.append(False, inside)]
        lengths = ends[here & ~np.append(inside, False)] - starts
        if len(starts):
            bars = list(zip(starts.tolist(), lengths.tolist(), strict=True))
            axis.broken_barh(bars, (0, 1), facecolors=colour, alpha=0.6, linewidth=0, label=state.value)
    axis.set(ylim=(0, 1), yticks=[])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
