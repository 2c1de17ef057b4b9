"""What a track makes of the frames of a drive: figures of the filtered poses beside those of the fixes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vloc_ros.evaluation.records import FrameRecord, Tracked
from vloc_ros.evaluation.uncertainty import DIMENSIONS, squared_error
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.tracking.status import CHECKED, FLOW, GLOBAL, PRIOR, SEARCHES

WAYS = {
    GLOBAL: "in the whole map",
    PRIOR: "near the track",
    FLOW: "followed without a network",
    CHECKED: "followed, then in the whole map",
}


def tracked_frames(records: Sequence[FrameRecord]) -> list[tuple[FrameRecord, Tracked]]:
    """Those that have a filtered pose."""
    return [(record, record.tracked) for record in records if record.tracked is not None]


def track_summary(records: Sequence[FrameRecord]) -> dict[str, Any] | None:
    """In JSON's types, None where no frame has a filtered pose. `filtered_*`: of all frames that have one; `fix_*`: of
    those among them that have a fix; `nees` over its 6 dimensions. `searched`: how many frames, in which way; `cpu_ms`:
    the processor time of one of each, `cpu_share`: that of all frames by the time from the first to the last, of one
    core, where it is known."""
    found = tracked_frames(records)
    if not found:
        return None
    errors_m = [pose_error(t.map_from_camera, r.true_map_from_camera).translation_m for r, t in found]
    fixes_m = [r.error.translation_m for r, _ in found if r.error is not None and r.error.in_right_place]
    squares = [squared_error(t.map_from_camera, r.true_map_from_camera, t.covariance) for r, t in found]
    return {
        "frames": len(found),
        "filtered_median_m": _percentile(errors_m, 50),
        "filtered_p95_m": _percentile(errors_m, 95),
        "filtered_nees": float(np.mean(squares)) / DIMENSIONS,
        "fix_median_m": _percentile(fixes_m, 50),
        "fix_p95_m": _percentile(fixes_m, 95),
        "jumps": sum(bool(t.jump) for _, t in found),
        "searched": {how: sum(t.search == how for _, t in found) for how in SEARCHES},
        "cpu_ms": {
            how: _percentile([t.cpu_ms for _, t in found if t.search == how and t.cpu_ms], 50) for how in SEARCHES
        },
        "cpu_share": _cpu_share(found),
    }


def _cpu_share(found: Sequence[tuple[FrameRecord, Tracked]]) -> float | None:
    """What is done for the last frame comes after the time that is counted."""
    stamps = [record.stamp_ns for record, _ in found]
    passed_ms = (max(stamps) - min(stamps)) * 1e-6
    told = [track.cpu_ms for _, track in found[:-1] if track.cpu_ms is not None]
    return sum(told) / passed_ms if told and passed_ms else None


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def track_rows(track: dict[str, Any]) -> list[tuple[str, str]]:
    """The same for people."""
    filtered, fixes = (
        f"{_cm(track[f'{of}_median_m'])} median, {_cm(track[f'{of}_p95_m'])} p95" for of in ("filtered", "fix")
    )
    searched = ", ".join(f"{track['searched'][how]} {text}{_each(track['cpu_ms'][how])}" for how, text in WAYS.items())
    return [
        ("filtered pose", f"{filtered}; fixes of the same frames {fixes}"),
        ("filtered NEES / 6", f"{track['filtered_nees']:.2f}"),
        ("searched", searched),
        ("jumps", f"{track['jumps']}"),
        *([] if track["cpu_share"] is None else [("processor time", f"{track['cpu_share']:.0%} of a core")]),
    ]


def _cm(metres: float | None) -> str:
    return "none" if metres is None else f"{100 * metres:.2f} cm"


def _each(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f" ({milliseconds:.0f} ms of a processor each)"
