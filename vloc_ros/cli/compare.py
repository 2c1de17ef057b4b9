"""`vloc compare`: several evaluations side by side."""

import argparse
from pathlib import Path

from vloc_ros.cli.command import Command
from vloc_ros.cli.options import add_report
from vloc_ros.errors import ConfigError
from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.evaluation.metrics import comparison_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN.json", help="evaluations, named after their files")
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    evaluations = {path.stem: Evaluation.read_json(path) for path in options.runs}
    if len(evaluations) < len(options.runs):
        raise ConfigError("two of the files have the same name, which names the evaluation: rename one")
    print(comparison_table({name: evaluation.summary() for name, evaluation in evaluations.items()}))
    if options.report:
        from vloc_ros.evaluation.report.evaluation_report import write_comparison  # matplotlib is optional

        write_comparison(options.report, evaluations)
    return 0


COMMAND = Command("Compare what `vloc evaluate --json` wrote, of the same frames or of others.", add_arguments, run)
