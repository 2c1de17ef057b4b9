"""The report of one evaluation, and that of several side by side."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vloc_ros.core.types import LandmarkMap
from vloc_ros.datasets.types import Frame
from vloc_ros.drawing.overlay import draw_overlay
from vloc_ros.evaluation.camera_summary import camera_rows
from vloc_ros.evaluation.evaluate import Evaluation, LoadFrames
from vloc_ros.evaluation.metrics import PERCENTILES, PLACE_ACCURACY, RIGHT_RECALL, comparison_rows, median_text
from vloc_ros.evaluation.point_use import point_use
from vloc_ros.evaluation.records import Estimated, FrameRecord
from vloc_ros.evaluation.report import floor_plan, plots
from vloc_ros.evaluation.report.page import page, picture, plot, section, table, tiles
from vloc_ros.evaluation.report.point_section import describe_use, point_section
from vloc_ros.evaluation.report.svg import plotting
from vloc_ros.evaluation.report.track_section import track_section
from vloc_ros.evaluation.uncertainty import area, coverage, nees, recall_against_rejection
from vloc_ros.files import write_text
from vloc_ros.geometry.pose_error import RIGHT_POSE
from vloc_ros.localizer import Localizer

WORST_FRAMES = 12
USE_FRAMES = 40  # evenly, of which it is looked at what points did: they are localized once more


def write_report(path: Path, title: str, evaluation: Evaluation, localizer: Localizer, load: LoadFrames) -> None:
    """Write `report_of`. Raises ConfigError when it cannot be written."""
    write_text(path, report_of(title, evaluation, localizer, load))


def report_of(title: str, evaluation: Evaluation, localizer: Localizer, load: LoadFrames) -> str:
    """The report of an evaluation as one HTML page. `load` gives the frames whose pictures are shown."""
    records, summary = evaluation.records, evaluation.summary()
    with plotting():
        sections = [
            tiles(_tiles(summary)),
            *(_where(place, part.records, localizer) for place, part in evaluation.by_place().items()),
            _accuracy({title: evaluation}),
            *(_track(place, part.records, localizer) for place, part in evaluation.by_place().items()),
            _places(evaluation),
            _cameras(summary),
            _uncertainty(records),
            _latency({title: evaluation}),
            *_shown(records, localizer, load),
            section("The map", table((), _map_card(localizer)), table((), _source(evaluation))),
        ]
    return page(title, f"{len(records)} frames against the map {localizer.map_id}", sections)


def write_comparison(path: Path, evaluations: Mapping[str, Evaluation]) -> None:
    """Write a report of several evaluations side by side, by name. Raises ConfigError when it cannot be written."""
    with plotting():
        sections = [_accuracy(evaluations), _frame_by_frame(evaluations), _latency(evaluations)]
    write_text(path, page("Comparison", ", ".join(evaluations), sections))


def _tiles(summary: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    wrong = summary["wrong_accepted"]
    total = summary["latency_ms"].get("total", {})
    squares, inside = summary["nees"], summary["coverage_95"]
    places = {"right place": (f"{summary[PLACE_ACCURACY]:.1%}", "")} if PLACE_ACCURACY in summary else {}
    return {
        **places,
        "median error": (median_text(summary), ""),
        f"within {RIGHT_POSE}": (f"{summary[RIGHT_RECALL]:.1%}", ""),
        "rejected": (str(summary["rejected"]), ""),
        "wrong, but accepted": (str(wrong), "bad" if wrong else "good"),
        "latency, median": (f"{total['p50']:.0f} ms" if total else "none", ""),
        "NEES / 6, 1 is ideal": ("none" if squares is None else f"{squares:.2f}", ""),
        "errors inside the 95\u00a0% ellipsoid": ("none" if inside is None else f"{inside:.0%}", ""),
    }


def _where(place: str | None, records: tuple[FrameRecord, ...], localizer: Localizer) -> str:
    if localizer.landmark_map.manifest.index_of(place) is None:
        return ""  # a place that the map knows nothing of
    landmark_map = localizer.landmark_map.of_place(place)
    captions = {
        "from above": "Truth, and estimates coloured by their error; grey: the map's landmarks.",
        "from the front": floor_plan.UP_IS,
    }
    return section(
        f"Where, in place {place}" if place else "Where",
        *(plot(floor_plan.path(records, landmark_map, side), caption) for side, caption in captions.items()),
    )


def _track(place: str | None, records: tuple[FrameRecord, ...], localizer: Localizer) -> str:
    known = localizer.landmark_map.manifest.index_of(place) is not None
    return track_section(records, localizer.landmark_map.of_place(place) if known else None)


def _places(evaluation: Evaluation) -> str:
    """Each place by itself, and what it was taken for; nothing for a map of one place."""
    parts = evaluation.by_place()
    if None in parts:
        return ""
    head, *rows = comparison_rows({place or "": part.summary() for place, part in parts.items()})
    taken_for = dict.fromkeys([*parts, *(record.place for record in evaluation.records)])
    counts = [
        (place or "", *(str(sum(record.place == other for record in part.records)) for other in taken_for))
        for place, part in parts.items()
    ]
    titles = ("frames of, taken for", *(other or "none" for other in taken_for))
    return section("Place by place", table(head, rows), table(titles, counts))


def _cameras(summary: Mapping[str, Any]) -> str:
    """Nothing for one camera."""
    rows = camera_rows(summary.get("cameras", {}), summary["frames"])
    return section("Camera by camera", table((), rows)) if rows else ""


def _accuracy(evaluations: Mapping[str, Evaluation]) -> str:
    head, *rows = comparison_rows({name: evaluation.summary() for name, evaluation in evaluations.items()})
    records = {name: evaluation.records for name, evaluation in evaluations.items()}
    of = {name: f"{name}: " if len(evaluations) > 1 else "" for name in evaluations}
    return section(
        "How good",
        plot(plots.cumulative(records), "What part of all frames is within an error; dotted: the usual limits."),
        table(head if len(evaluations) > 1 else (), rows),
        *(
            plot(plots.errors_in_time(run), f"{of[name]}The error of every frame; strokes: rejected ones{_band(run)}.")
            for name, run in records.items()
        ),
        *(
            plot(plots.distance_against_error(run), f"{of[name]}Far from where the map was made, is it worse?")
            for name, run in records.items()
            if any(record.nearest_view for record in run)
        ),
    )


def _band(records: Sequence[FrameRecord]) -> str:
    return "; band: what the relocalizer said of itself" if any(record.state for record in records) else ""


def _frame_by_frame(evaluations: Mapping[str, Evaluation]) -> str:
    """Each run against the first, where they have frames of the same names."""
    (first, reference), *others = ((name, evaluation.records) for name, evaluation in evaluations.items())
    cards = []
    for name, records in others:
        by_name = {record.name: record for record in records}
        pairs = [(record, by_name[record.name]) for record in reference if record.name in by_name]
        if pairs:
            caption = (
                f"{len(pairs)} common frames; below the line {name} is better. Crosses: one of the two rejected it."
            )
            cards.append(plot(plots.pairs(pairs, first, name), caption))
    return section("Frame by frame", *cards) if cards else ""


def _latency(evaluations: Mapping[str, Evaluation]) -> str:
    stages = {name: evaluation.summary()["latency_ms"] for name, evaluation in evaluations.items()}
    rows = [
        (f"{name}, {stage}" if len(stages) > 1 else stage, *(f"{ms:.1f}" for ms in percentiles.values()))
        for name, run in stages.items()
        for stage, percentiles in run.items()
    ]
    return section(
        "How fast",
        plot(plots.latency(stages), "Time of each stage."),
        table(("ms", *(f"p{percentile}" for percentile in PERCENTILES)), rows),
    )


def _uncertainty(records: tuple[FrameRecord, ...]) -> str:
    if not any(record.solved for record in records):
        return ""
    areas = ", ".join(f"{n} {area(*recall_against_rejection(records, s)):.3f}" for n, s in plots.SCORES.items())
    squares = nees(records)
    cards = [
        plot(
            plots.figures_against_error(records),
            f"Inliers and confidence against the error; dotted: {RIGHT_POSE.centimetres:g} cm.",
        ),
        plot(
            plots.reliability_diagram(records),
            "Of the poses that claim a confidence, that part should be right; the larger the dot, the more poses.",
        ),
        plot(plots.rejection_curves(records), f"Rejecting what scores worst. Area: {areas}."),
    ]
    if len(squares):
        inside = ", ".join(f"{share:.0%}: {part:.0%}" for share, part in coverage(squares).items())
        cards.append(plot(plots.squares_against_chi2(squares), f"Errors inside the covariance's ellipsoids: {inside}."))
    return section("How sure, and rightly so?", *cards)


def _shown(records: tuple[FrameRecord, ...], localizer: Localizer, load: LoadFrames) -> list[str]:
    """What points did, where the map has some, and frames' pictures."""
    chosen = _chosen(records)
    if localizer.landmark_map.points is None:
        return [_frames(chosen, {}, localizer, load)]
    evenly = (
        {records[row].name for row in np.linspace(0, len(records) - 1, USE_FRAMES).astype(int)} if records else set()
    )
    use = point_use(
        localizer, load([record.name for record in records if record.name in evenly or record.name in chosen])
    )
    said = {frame.name: f"; {describe_use(frame)}" for frame in use.frames}
    return [point_section(use, localizer.landmark_map), _frames(chosen, said, localizer, load)]


def _frames(
    chosen: Mapping[str, tuple[str, FrameRecord]], said: Mapping[str, str], localizer: Localizer, load: LoadFrames
) -> str:
    cards = {
        frame.name: picture(_overlay(localizer, frame), _describe(*chosen[frame.name]) + said.get(frame.name, ""))
        for frame in load(list(chosen))
    }
    return section("Frames", *(cards[name] for name in chosen if name in cards))


def _chosen(records: tuple[FrameRecord, ...]) -> dict[str, tuple[str, FrameRecord]]:
    """By name, in order: the best, the median and the worst frames, of which rejected ones, evenly picked, are at most
    half where there are others, for they are often many and much alike."""
    accepted = sorted((r for r in records if r.error), key=_translation, reverse=True)
    rejected = [record for record in records if not record.error]
    room = max(WORST_FRAMES // 2, WORST_FRAMES - len(accepted))
    picked = [rejected[i] for i in np.unique(np.linspace(0, len(rejected) - 1, room).astype(int))] if rejected else []
    chosen: dict[str, tuple[str, FrameRecord]] = {}
    for title, found in (
        ("best", accepted[-1:]),
        ("median", accepted[len(accepted) // 2 :][:1]),
        ("worst", accepted[: WORST_FRAMES - len(picked)]),
        ("rejected", picked),
    ):
        for record in found:
            chosen.setdefault(record.name, (title, record))
    return chosen


def _translation(record: FrameRecord) -> float:
    return record.error.translation_m if record.error else math.inf


def _overlay(localizer: Localizer, frame: Frame) -> Any:
    return draw_overlay(localizer, frame.query, localizer.localize(frame.query))


def _describe(title: str, record: FrameRecord) -> str:
    estimate = record.outcome
    if not isinstance(estimate, Estimated):
        return f"{title}: {record.name}, {estimate.detail}"
    if not estimate.error.in_right_place:
        return f"{title}: {record.name}, taken for place {record.place}, confidence {estimate.confidence:.2f}"
    error = estimate.error
    return (
        f"{title}: {record.name}, {100 * error.translation_m:.2f} cm, {math.degrees(error.rotation_rad):.2f} deg, "
        f"{estimate.inliers} inliers, confidence {estimate.confidence:.2f}"
    )


def _map_card(localizer: Localizer) -> list[tuple[str, str]]:
    landmark_map, manifest = localizer.landmark_map, localizer.landmark_map.manifest
    places = manifest.result_places
    return [
        ("map", localizer.map_id),
        ("method", manifest.method),
        ("made", manifest.created),
        ("landmarks", str(len(landmark_map))),
        *((f"box {place}" if place else "box", _box(landmark_map.of_place(place))) for place in places),
        ("made from", f"{len(landmark_map.mapping_views)} images"),
        ("network input", "{} x {}".format(*manifest.image_size)),
        ("gate", ", ".join(f"{name} {value:g}" for name, value in vars(manifest.gate).items())),
    ]


def _box(landmark_map: LandmarkMap) -> str:
    return " x ".join(f"{metres:.1f}" for metres in np.ptp(landmark_map.positions, axis=0)) + " m"


def _source(evaluation: Evaluation) -> list[tuple[str, str]]:
    said = [(name, _plain(value)) for name, value in evaluation.source.items()]
    return said or [("source", "a data set")]


def _plain(value: Any) -> str:
    """Of the cameras of a rig a line each."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return "; ".join(", ".join(f"{name} {part}" for name, part in each.items()) for each in value)
    return str(value)
