"""What `vloc evaluate` makes of an evaluation: a table, files, and whether it is good enough."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vloc_ros.cli.options import add_report
from vloc_ros.evaluation.camera_summary import camera_rows
from vloc_ros.evaluation.evaluate import Evaluation, LoadFrames
from vloc_ros.evaluation.metrics import PLACE_ACCURACY, RECALL_LIMITS, comparison_table, median_text
from vloc_ros.evaluation.requirements import figures, junit_xml, parse_requirements
from vloc_ros.evaluation.track_summary import track_rows
from vloc_ros.files import write_text
from vloc_ros.localizer import Localizer

EXIT_NOT_GOOD_ENOUGH = 2


def add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and every frame as JSON")
    add_report(parser)
    parser.add_argument("--trajectory", type=Path, metavar="DIR", help="write estimate.txt and truth.txt (TUM format)")
    parser.add_argument(
        "--require",
        type=parse_requirements,
        default=[],
        metavar="CONDITIONS",
        help='exit with 2 unless they hold, e.g. "recall_5cm_5deg>=0.9,latency_p95_ms<=100"',
    )
    parser.add_argument("--junit", type=Path, metavar="FILE.xml", help="write the conditions of --require as JUnit XML")


def write_outputs(
    options: argparse.Namespace,
    evaluation: Evaluation,
    localizer: Localizer,
    load: LoadFrames,
) -> int:
    """Print the table, and of several places one with a column for each, write the files and return the exit code.
    `load`: as of `write_report`."""
    summary = evaluation.summary()
    print(summary_table(summary))
    if len(parts := evaluation.by_place()) > 1:
        print("\n" + comparison_table({place or "": part.summary() for place, part in parts.items()}))
    if options.json:
        evaluation.write_json(options.json)
    if options.trajectory:
        evaluation.write_trajectories(options.trajectory / "estimate.txt", options.trajectory / "truth.txt")
    if options.report:
        from vloc_ros.evaluation.report.evaluation_report import write_report  # matplotlib is optional

        write_report(options.report, options.report.stem, evaluation, localizer, load)
    values = figures(summary)
    if options.junit:
        write_text(options.junit, junit_xml(options.require, values))
    failures = [why for requirement in options.require if (why := requirement.failure(values))]
    for why in failures:
        print(f"vloc: required {why}", file=sys.stderr)
    return EXIT_NOT_GOOD_ENOUGH if failures else 0


def summary_table(summary: Mapping[str, Any]) -> str:
    """The figures of `Evaluation.summary` for people: centimetres, degrees, percent, milliseconds."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in summary["rejection_reasons"].items())
    rows = [
        ("frames", f"{summary['frames']}"),
        ("median error", median_text(summary)),
        *((f"within {limit}", f"{summary[name]:.1%}") for name, limit in RECALL_LIMITS.items()),
        ("rejected", f"{summary['rejected']}" + (f" ({reasons})" if reasons else "")),
        ("accepted, but wrong", f"{summary['wrong_accepted']}"),
        ("NEES / 6, 95 % coverage", f"{_number(summary['nees'])}, {_number(summary['coverage_95'], 100, ' %')}"),
    ]
    if PLACE_ACCURACY in summary:
        rows.append(("right place", f"{summary[PLACE_ACCURACY]:.1%}"))
    rows += [
        (f"latency, {stage}", "  ".join(f"{name} {ms:.1f} ms" for name, ms in percentiles.items()))
        for stage, percentiles in summary["latency_ms"].items()
    ]
    rows += camera_rows(summary.get("cameras", {}), summary["frames"])
    if "track" in summary:
        rows += track_rows(summary["track"])
    return "\n".join(f"{name:<25}{value}" for name, value in rows)


def _number(value: float | None, scale: float = 1.0, unit: str = "") -> str:
    return "none" if value is None else f"{value * scale:.2f}{unit}"
