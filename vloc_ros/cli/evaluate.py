"""`vloc evaluate`: how well does a map do on posed images?"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vloc_ros.cli.options import SubCommands, add_dataset, add_map, add_split
from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.evaluation.evaluate import Evaluation, evaluate
from vloc_ros.evaluation.metrics import RECALL_LIMITS
from vloc_ros.localizer import Localizer, load_localizer


def register(commands: SubCommands) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="how well does a map do on posed images?",
        description="Localize every frame of a split, compare with the known poses and print a table. "
        "A rejected frame counts as not localized everywhere.",
    )
    add_map(parser)
    add_dataset(parser)
    add_split(parser, default="test")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and every frame as JSON")
    parser.add_argument("--trajectory", type=Path, metavar="DIR", help="write estimate.txt and truth.txt (TUM format)")
    parser.add_argument(
        "--occlude",
        type=float,
        default=0.0,
        metavar="RATIO",
        help="cover this part of each image's height and width with noise, 0 to 1 (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    localizer = load_localizer(options.map)
    dataset = open_dataset(options.dataset, options.root, options.split, options.poses)
    evaluation = evaluate_with_progress(localizer, dataset, options.occlude)
    print(summary_table(evaluation.summary()))
    if options.json:
        evaluation.write_json(options.json)
    if options.trajectory:
        evaluation.write_trajectories(options.trajectory / "estimate.txt", options.trajectory / "truth.txt")
    return 0


def evaluate_with_progress(localizer: Localizer, dataset: Dataset, occlude: float = 0.0) -> Evaluation:
    """`evaluate` with a progress bar where somebody looks at the terminal."""
    with tqdm(total=len(dataset), unit="frame", leave=False, disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.update(done - bar.n)

        return evaluate(localizer, dataset, progress, occlude)


def summary_table(summary: Mapping[str, Any]) -> str:
    """The figures of `Evaluation.summary` for people: centimetres, degrees, percent, milliseconds."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in summary["rejection_reasons"].items())
    centimetres = _number(summary["median_translation_m"], 100)
    degrees = _number(summary["median_rotation_deg"])
    rows = [
        ("frames", f"{summary['frames']}"),
        ("median error", f"{centimetres} cm, {degrees} deg"),
        *(
            (f"within {limit_m * 100:.0f} cm and {limit_deg:.0f} deg", f"{summary[name]:.1%}")
            for name, (limit_m, limit_deg) in RECALL_LIMITS.items()
        ),
        ("rejected", f"{summary['rejected']}" + (f" ({reasons})" if reasons else "")),
        ("accepted, but wrong", f"{summary['wrong_accepted']}"),
    ]
    rows += [
        (f"latency, {stage}", "  ".join(f"{name} {ms:.1f} ms" for name, ms in percentiles.items()))
        for stage, percentiles in summary["latency_ms"].items()
    ]
    return "\n".join(f"{name:<25}{value}" for name, value in rows)


def _number(value: float | None, scale: float = 1.0) -> str:
    return "none" if value is None else f"{value * scale:.2f}"
