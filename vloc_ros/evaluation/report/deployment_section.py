"""What a report says of a place before a robot depends on its map: where it sees enough, what looks alike, how good the
recording was, and what to record next."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vloc_ros.core.types import LandmarkMap
from vloc_ros.evaluation.advice import coverage_advice, look_alike_advice, recording_advice
from vloc_ros.evaluation.coverage import Coverage, coverage_of, expected_errors, needed_points
from vloc_ros.evaluation.look_alikes import LookAlike, look_alikes
from vloc_ros.evaluation.recording import Recording
from vloc_ros.evaluation.records import FrameRecord, worst_first
from vloc_ros.evaluation.report import floor_plan
from vloc_ros.evaluation.report.mapping_record import MappingRecord
from vloc_ros.evaluation.report.page import picture, plot, section, table
from vloc_ros.evaluation.report.svg import BLUE, axes_of

SPOT_SIZE = 30.0
NOTHING = "Nothing that the map and its recording tell of."
COVERED = "directions with enough points, %"
ERROR = "error, cm"
SERIES: Mapping[str, Callable[[Recording], NDArray[np.float64]]] = {
    "sharpness": lambda recording: recording.sharpness,
    "brightness": lambda recording: recording.brightness,
    "key points": lambda recording: recording.key_points,
    "observations": lambda recording: recording.observations,
    "moved, cm": lambda recording: 100 * recording.moved_m,
    "turned, deg": lambda recording: recording.turned_deg,
}


def deployment_section(place: str | None, landmark_map: LandmarkMap, past: MappingRecord) -> str:
    """Of one place of a map, None standing for the only one: where a camera sees enough, what looks alike, and advice;
    nothing for a map without points."""
    points, number = landmark_map.points, landmark_map.manifest.require_index(place)
    if points is None:
        return ""
    of_place = landmark_map.of_place(place)
    held_out = [record for record in past.held_out if record.true_place == place]
    coverage, needed = coverage_of(landmark_map, number), needed_points(landmark_map, number, held_out)
    alike = look_alikes(points, number)
    recordings = past.recordings[number : number + 1]
    advice = look_alike_advice(alike, landmark_map.manifest.gate.min_inliers)
    cards = []
    if coverage is not None and needed is not None:
        advice += coverage_advice(coverage, needed)
        cards += _coverage_plots(of_place, coverage, needed, landmark_map.manifest.accuracy)
    for recording in recordings:
        advice += recording_advice(recording)
    cards += [_alike_table(alike), *map(_recording_plot, recordings), *_worst(held_out, past.pictures)]
    told = table(("what to record next, or to mind",), [(line,) for line in advice or [NOTHING]])
    return section(f"Before deployment: place {place}" if place else "Before deployment", told, *cards)


def _coverage_plots(
    of_place: LandmarkMap, coverage: Coverage, needed: int, accuracy: Mapping[str, object]
) -> list[str]:
    covered = 100 * (coverage.points >= needed).mean(axis=1)
    errors = 100 * expected_errors(coverage, accuracy, needed)
    plots = [
        plot(
            floor_plan.points(of_place, coverage.spots, covered, COVERED, size=SPOT_SIZE),
            f"From where a camera, held as the mapping camera was, sees enough: {needed} points in view make twice the "
            "inliers that the gate asks for. Walls and furniture in between are not known.",
        )
    ]
    if np.isfinite(errors).any():
        caption = (
            "The error to expect there, from mapping frames that were localized without the mapping views as near to "
            "them. Grey: too few points, or farther away than that was tried."
        )
        figure = floor_plan.points(of_place, coverage.spots, errors, ERROR, few_is_bad=False, size=SPOT_SIZE)
        plots.append(plot(figure, caption))
    return plots


def _alike_table(alike: Sequence[LookAlike]) -> str:
    rows = [(_position(each.one), _position(each.other), f"{each.apart_m:.1f} m", str(each.points)) for each in alike]
    return table(("parts that look alike", "", "apart", "points"), rows or [("none", "", "", "")])


def _position(position: NDArray[np.float64]) -> str:
    return "({})".format(", ".join(f"{value:.1f}" for value in position.round(1) + 0.0))


def _recording_plot(recording: Recording) -> str:
    figure = _series(recording)
    bad = (
        (recording.blurred, "blurred"),
        (recording.badly_exposed, "too dark or overexposed"),
        (recording.plain, "with few key points"),
    )
    counts = ", ".join(f"{int(found.sum())} {what}" for found, what in bad)
    return plot(
        figure, f"The {len(recording.names)} mapping images in their order: {counts}; how far poses were adjusted."
    )


def _series(recording: Recording) -> Figure:
    figure, rows = axes_of(height=5.2, rows=len(SERIES), sharex=True)
    for axis, (label, values) in zip(rows, SERIES.items(), strict=True):
        axis.plot(values(recording), ".", ms=2.5, mew=0, color=BLUE)
        axis.set_ylabel(label, fontsize=7)
        axis.set_ylim(bottom=0)
    rows[-1].set_xlabel("mapping image")
    return figure


def _worst(held_out: Sequence[FrameRecord], pictures: Mapping[str, NDArray[np.uint8]]) -> list[str]:
    shown = [record for record in worst_first(held_out) if record.name in pictures]
    return [
        picture(
            pictures[record.name],
            f"{record.name}: {'rejected' if record.error is None else f'{100 * record.error.translation_m:.2f} cm'}, "
            "among the three worst held-out frames.",
        )
        for record in shown
    ]
