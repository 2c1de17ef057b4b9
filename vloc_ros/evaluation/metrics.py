"""The figures that summarize pose errors. A rejected frame counts as not localized everywhere."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vloc_ros.geometry.pose_error import NOT_WRONG_POSE, RIGHT_POSE, PoseError, PoseTolerance

# By their names in reports.
RECALL_LIMITS = {
    f"recall_{limit.name}": limit
    for limit in (PoseTolerance(0.02, 1.0), RIGHT_POSE, PoseTolerance(0.10, 5.0), PoseTolerance(0.25, 2.0))
}
RIGHT_RECALL = f"recall_{RIGHT_POSE.name}"
PLACE_ACCURACY = "scene_accuracy"  # in the summary, for a map of several places
PERCENTILES = (50, 95, 99)


def summarize(errors: Sequence[PoseError | None], timings_ms: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Figures over all frames, ready for JSON. `errors`: None for a rejected frame; `timings_ms`: by stage, per frame.

    Medians are over all frames with a rejected one at infinity, and None (JSON null) when that makes them infinite or
    when there are no frames; recalls are fractions of all frames. `wrong_accepted`: more than 25 cm or 5 deg off and
    not rejected.
    """
    accepted = [error for error in errors if error is not None]
    rejected = len(errors) - len(accepted)
    return {
        "frames": len(errors),
        "median_translation_m": _median([error.translation_m for error in accepted], rejected),
        "median_rotation_deg": _median([math.degrees(error.rotation_rad) for error in accepted], rejected),
        **{
            name: sum(error.within(limit) for error in accepted) / max(1, len(errors))
            for name, limit in RECALL_LIMITS.items()
        },
        "rejected": rejected,
        "wrong_accepted": sum(not error.within(NOT_WRONG_POSE) for error in accepted),
        "latency_ms": _latency(timings_ms),
    }


def comparison_rows(summaries: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """For people, a row each: the names of the summaries, then what was measured, with a figure of each of them."""
    rows = [["", *summaries], ["frames", *(str(s["frames"]) for s in summaries.values())]]
    rows.append(["median", *map(median_text, summaries.values())])
    for name, limit in RECALL_LIMITS.items():
        rows.append([f"within {limit}", *(f"{s[name]:.1%}" for s in summaries.values())])
    if any(PLACE_ACCURACY in summary for summary in summaries.values()):
        shares = [s.get(PLACE_ACCURACY) for s in summaries.values()]
        rows.append(["right place", *("none" if share is None else f"{share:.1%}" for share in shares)])
    rows.append(["rejected", *(str(s["rejected"]) for s in summaries.values())])
    rows.append(["wrong accepted", *(str(s["wrong_accepted"]) for s in summaries.values())])
    totals = [s["latency_ms"].get("total") for s in summaries.values()]
    rows.append(["latency p50", *("none" if total is None else f"{total['p50']:.1f} ms" for total in totals)])
    return rows


def comparison_table(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """`comparison_rows` as text."""
    rows = comparison_rows(summaries)
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def median_text(summary: Mapping[str, Any]) -> str:
    """The median error for people."""
    metres, degrees = summary["median_translation_m"], summary["median_rotation_deg"]
    return "none" if metres is None else f"{100 * metres:.2f} cm, {degrees:.2f} deg"


def _median(values: list[float], rejected: int) -> float | None:
    """The median with `rejected` more values at infinity."""
    if not values:
        return None
    ranked = sorted(values) + [math.inf] * rejected
    middle = (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) / 2
    return middle if math.isfinite(middle) else None


def _latency(timings_ms: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Percentiles per stage, over the frames that came to that stage."""
    stages = dict.fromkeys(stage for timings in timings_ms for stage in timings)
    table = {stage: [timings[stage] for timings in timings_ms if stage in timings] for stage in stages}
    return {stage: {f"p{p}": float(np.percentile(values, p)) for p in PERCENTILES} for stage, values in table.items()}
