"""The report of one evaluation, and that of several side by side."""

import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vloc_ros.datasets.types import Frame
from vloc_ros.evaluation.evaluate import Evaluation, LoadFrames
from vloc_ros.evaluation.metrics import comparison_rows, median_text
from vloc_ros.evaluation.output import write_text
from vloc_ros.evaluation.overlay import draw_overlay
from vloc_ros.evaluation.records import Estimated, FrameRecord
from vloc_ros.evaluation.report import plots
from vloc_ros.evaluation.report.page import page, picture, plot, section, table, tiles
from vloc_ros.evaluation.report.svg import plotting
from vloc_ros.evaluation.uncertainty import DIMENSIONS, area, coverage, nees, recall_against_rejection
from vloc_ros.localizer import Localizer

WORST_FRAMES = 12


def write_report(path: Path, title: str, evaluation: Evaluation, localizer: Localizer, load: LoadFrames) -> None:
    """Write the report of an evaluation as one HTML file. `load` gives the frames whose pictures are shown.

    Raises ConfigError when it cannot be written.
    """
    records, summary = evaluation.records, evaluation.summary()
    with plotting():
        sections = [
            tiles(_tiles(summary, records)),
            _where_and_when(records, localizer),
            _how_good({title: evaluation}),
            _how_sure(records),
            _frames(records, localizer, load),
            section("The map", table((), _map_card(localizer)), table((), _source(evaluation))),
        ]
    write_text(path, page(title, f"{len(records)} frames against the map {localizer.map_id}", sections))


def write_comparison(path: Path, evaluations: Mapping[str, Evaluation]) -> None:
    """Write a report of several evaluations side by side, by name. Raises ConfigError when it cannot be written."""
    with plotting():
        sections = [_how_good(evaluations)]
    write_text(path, page("Comparison", ", ".join(evaluations), sections))


def _tiles(summary: Mapping[str, Any], records: Collection[FrameRecord]) -> dict[str, tuple[str, str]]:
    squares = nees(list(records))
    wrong = summary["wrong_accepted"]
    total = summary["latency_ms"].get("total", {})
    return {
        "median error": (median_text(summary), ""),
        "within 5 cm and 5 deg": (f"{summary['recall_5cm_5deg']:.1%}", ""),
        "rejected": (str(summary["rejected"]), ""),
        "wrong, but accepted": (str(wrong), "bad" if wrong else "good"),
        "latency, median": (f"{total['p50']:.0f} ms" if total else "none", ""),
        "NEES / 6, 1 is ideal": (f"{squares.mean() / DIMENSIONS:.2f}" if len(squares) else "none", ""),
        "errors inside the 95 % ellipsoid": (f"{coverage(squares)[0.95]:.0%}" if len(squares) else "none", ""),
    }


def _where_and_when(records: tuple[FrameRecord, ...], localizer: Localizer) -> str:
    positions = localizer.landmark_map.positions
    return section(
        "Where and when",
        plot(
            plots.paths(records, positions),
            "The path, estimates coloured by their error, over the map's landmarks. Up is taken for the direction in "
            "which the landmarks spread least.",
        ),
        plot(plots.errors_in_time(records), "The error of every frame."),
    )


def _how_good(evaluations: Mapping[str, Evaluation]) -> str:
    head, *rows = comparison_rows({name: evaluation.summary() for name, evaluation in evaluations.items()})
    stages = {name: evaluation.summary()["latency_ms"] for name, evaluation in evaluations.items()}
    records = {name: evaluation.records for name, evaluation in evaluations.items()}
    return section(
        "How good",
        plot(plots.cumulative(records), "What part of all frames is within an error; dotted: the usual limits."),
        table(head if len(evaluations) > 1 else (), rows),
        plot(plots.latency(stages), "Time of each stage."),
        *(
            plot(plots.distance_against_error(evaluation.records), "Far from where the map was made, is it worse?")
            for evaluation in evaluations.values()
            if len(evaluations) == 1 and any(record.nearest_view for record in evaluation.records)
        ),
    )


def _how_sure(records: tuple[FrameRecord, ...]) -> str:
    if not any(record.solved for record in records):
        return ""
    scores: dict[str, Callable[[Estimated], float]] = {
        "confidence": lambda estimate: estimate.confidence,
        "inliers": lambda estimate: estimate.inliers,
    }
    areas = ", ".join(f"{n} {area(*recall_against_rejection(records, s)):.3f}" for n, s in scores.items())
    squares = nees(records)
    cards = [
        plot(plots.figures_against_error(records), "Inliers and confidence against the error; dotted: 5 cm."),
        plot(plots.reliability_diagram(records), "Of the poses that claim a confidence, that part should be right."),
        plot(plots.rejection_curves(records), f"Rejecting what scores worst. Area: {areas}."),
    ]
    if len(squares):
        inside = ", ".join(f"{share:.0%}: {part:.0%}" for share, part in coverage(squares).items())
        cards.append(plot(plots.squares_against_chi2(squares), f"Errors inside the covariance's ellipsoids: {inside}."))
    return section("How sure, and rightly so?", *cards)


def _frames(records: tuple[FrameRecord, ...], localizer: Localizer, load: LoadFrames) -> str:
    """The best, the median and the worst frames; a rejected one is worse than any error."""
    ranked = sorted(records, key=lambda r: r.error.translation_m if r.error else math.inf)
    titles: dict[str, str] = {}
    titles |= {record.name: "worst" for record in ranked[-WORST_FRAMES:]}
    titles |= {ranked[len(ranked) // 2].name: "median", ranked[0].name: "best"} if ranked else {}
    by_name = {record.name: record for record in records}
    rank = {record.name: place for place, record in enumerate(ranked)}
    cards = {
        frame.name: picture(_overlay(localizer, frame), f"{titles[frame.name]}: {_describe(by_name[frame.name])}")
        for frame in load(titles)
    }
    first = {"best": 0, "median": 1, "worst": 2}
    order = sorted(cards, key=lambda name: (first[titles[name]], -rank[name]))
    return section("Frames", *(cards[name] for name in order))


def _overlay(localizer: Localizer, frame: Frame) -> Any:
    return draw_overlay(localizer, frame.image, localizer.localize(frame.image))


def _describe(record: FrameRecord) -> str:
    estimate = record.outcome
    if not isinstance(estimate, Estimated):
        return f"{record.name}, rejected: {estimate.detail}"
    error = estimate.error
    return (
        f"{record.name}, {100 * error.translation_m:.2f} cm, {math.degrees(error.rotation_rad):.2f} deg, "
        f"{estimate.inliers} inliers, confidence {estimate.confidence:.2f}"
    )


def _map_card(localizer: Localizer) -> list[tuple[str, str]]:
    landmark_map, manifest = localizer.landmark_map, localizer.landmark_map.manifest
    size = np.ptp(landmark_map.positions, axis=0)
    return [
        ("map", localizer.map_id),
        ("method", manifest.method),
        ("made", manifest.created),
        ("landmarks", str(len(landmark_map))),
        ("box", " x ".join(f"{metres:.1f}" for metres in size) + " m"),
        ("made from", f"{len(landmark_map.mapping_views)} images"),
        ("network input", f"{manifest.network.width} x {manifest.network.height}"),
        ("gate", ", ".join(f"{name} {value:g}" for name, value in vars(manifest.gate).items())),
    ]


def _source(evaluation: Evaluation) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in evaluation.source.items()] or [("source", "a data set")]
