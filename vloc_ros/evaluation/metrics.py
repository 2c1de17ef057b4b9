"""Pose errors and the figures that summarize them. A rejected frame counts as not localized everywhere."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from vloc_ros.geometry.transforms import Matrix, rotation_angle

# Name in reports -> (metres, degrees). Both have to hold; the limit itself counts as inside.
RECALL_LIMITS = {
    "recall_2cm_1deg": (0.02, 1.0),
    "recall_5cm_5deg": (0.05, 5.0),
    "recall_10cm_5deg": (0.10, 5.0),
    "recall_25cm_2deg": (0.25, 2.0),
}
WRONG_LIMITS = (0.25, 5.0)
SCENE_ACCURACY = "scene_accuracy"  # in the summary, for a map of several scenes
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class PoseError:
    """Distance of the camera centres (m) and angle between the orientations (rad); infinite in the wrong scene."""

    translation_m: float
    rotation_rad: float

    @property
    def in_scene(self) -> bool:
        """Whether the pose is in the right scene, so that there is a distance at all."""
        return math.isfinite(self.translation_m)

    def within(self, metres: float, degrees: float) -> bool:
        return self.translation_m <= metres and math.degrees(self.rotation_rad) <= degrees


WRONG_SCENE = PoseError(math.inf, math.inf)  # its coordinates are in another frame: nothing could be compared


def pose_error(map_from_camera: Matrix, true_map_from_camera: Matrix) -> PoseError:
    """Error of a pose, both 4x4."""
    return PoseError(
        translation_m=float(np.linalg.norm(map_from_camera[:3, 3] - true_map_from_camera[:3, 3])),
        rotation_rad=rotation_angle(true_map_from_camera[:3, :3], map_from_camera[:3, :3]),
    )


def error_vector(map_from_camera: Matrix, true_map_from_camera: Matrix) -> Matrix:
    """Error (6,) of a pose in the order and axes of `PoseEstimate.covariance`: translation (m), then the rotation
    vector (rad) that turns the true orientation into the estimated one, about the map's axes."""
    rotation, _ = cv2.Rodrigues(map_from_camera[:3, :3] @ true_map_from_camera[:3, :3].T)
    return np.concatenate([map_from_camera[:3, 3] - true_map_from_camera[:3, 3], rotation.ravel()])


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
            name: sum(error.within(*limits) for error in accepted) / max(1, len(errors))
            for name, limits in RECALL_LIMITS.items()
        },
        "rejected": rejected,
        "wrong_accepted": sum(not error.within(*WRONG_LIMITS) for error in accepted),
        "latency_ms": _latency(timings_ms),
    }


def comparison_rows(summaries: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """For people, a row each: the names of the summaries, then what was measured, with a figure of each of them."""
    rows = [["", *summaries], ["frames", *(str(s["frames"]) for s in summaries.values())]]
    rows.append(["median", *map(median_text, summaries.values())])
    for name, (metres, degrees) in RECALL_LIMITS.items():
        rows.append([f"within {100 * metres:g} cm, {degrees:g} deg", *(f"{s[name]:.1%}" for s in summaries.values())])
    if any(SCENE_ACCURACY in summary for summary in summaries.values()):
        shares = [s.get(SCENE_ACCURACY) for s in summaries.values()]
        rows.append(["right scene", *("none" if share is None else f"{share:.1%}" for share in shares)])
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
