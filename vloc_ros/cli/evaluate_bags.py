"""`vloc evaluate --bags`: a list of bags, as tasks; one table, one report, and what got worse since the last run."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import bag_packages
from vloc_ros.cli import evaluate_bag
from vloc_ros.cli.evaluate_outputs import EXIT_NOT_GOOD_ENOUGH
from vloc_ros.cli.options import add_engine, engine_options, refuse_options, session_options
from vloc_ros.cli.progress_bar import TerminalProgress
from vloc_ros.datasets.bag_list import ListedBag, read_bag_list
from vloc_ros.tasks import HERE

NOT_OF_MANY = ("dataset", "bag", "recorded", "place_times", "priors", "occlude", "trajectory", "junit")

if TYPE_CHECKING:
    from vloc_ros.evaluation.bag_runs import BagRun, BagTask


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("many bags", "instead of --dataset; see docs/bags.md")
    group.add_argument("--bags", type=Path, metavar="LIST.yaml", help="bags to evaluate, each with its name")
    group.add_argument(
        "--baseline", type=Path, metavar="RUN.json",
        help="what --json wrote of these bags before: exit with 2, and say which, where one is worse now",
    )  # fmt: skip
    add_engine(parser, "share --bags among processes")


def run(options: argparse.Namespace) -> int:
    """Evaluate the bags, and give the exit code: 2 if one failed, got worse or misses a condition of --require."""
    refuse_options(options, NOT_OF_MANY, "does not go with --bags")
    with bag_packages():
        from vloc_ros.evaluation.bag_runs import BagRun, evaluate_task, missed, read_runs, regressions, write_runs
    before = {} if options.baseline is None else read_runs(options.baseline)
    tasks = {listed.name: task_of(listed, options) for listed in read_bag_list(options.bags)}
    found: dict[str, BagRun] = {}
    progress = TerminalProgress()
    with (engine_options(options) or HERE).opened() as engine, progress.bar("bags") as advance:
        advance(0, len(tasks))
        for done in engine.run(evaluate_task, tasks):
            found[done.name] = done.value if done.value is not None else BagRun(None, done.error)
            if done.error is not None:
                progress.say(f"{done.name}: {done.error}")
            advance(len(found), len(tasks))
    runs = {name: found[name] for name in tasks}
    failed = {name: [run.error] for name, run in runs.items() if run.error is not None}
    worse, short = regressions(runs, before), missed(runs, options.require)
    names = dict.fromkeys([*failed, *worse, *short])
    remarks = {name: [*failed.get(name, ()), *worse.get(name, ()), *short.get(name, ())] for name in names}
    if options.json:
        write_runs(options.json, runs)
    if options.report:
        from vloc_ros.evaluation.report.bags_report import write_bags_report  # matplotlib is optional

        write_bags_report(options.report, runs, remarks)
    return told(runs, remarks)


def told(runs: "Mapping[str, BagRun]", remarks: Mapping[str, list[str]]) -> int:
    """Print the table, and below it what is to be said of bags; the exit code."""
    from vloc_ros.evaluation.bag_runs import HEAD, table_rows

    rows = [row[:-1] for row in (HEAD, *table_rows(runs, {}))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for name, lines in remarks.items():
        for line in lines:
            print(f"vloc: {name}: {line}", file=sys.stderr)
    return EXIT_NOT_GOOD_ENOUGH if remarks else 0


def task_of(listed: ListedBag, options: argparse.Namespace) -> "BagTask":
    """What the list says of a bag, and for the rest what the options say of all of them."""
    from vloc_ros.evaluation.bag_runs import BagTask

    correction = evaluate_bag.correction_of(options)
    said = dict(listed.settings)
    wanted = evaluate_bag.bag_options(options, correction.offset_s)
    truth = replace(
        wanted.truth, source=said.pop("truth", wanted.truth.source), frame=said.pop("truth_frame", wanted.truth.frame)
    )
    own: BagOptions = replace(wanted, truth=truth, **said)  # type: ignore[arg-type]
    return BagTask(
        listed.name,
        listed.bag,
        listed.map or options.map,
        own,
        correction,
        session_options(options, options.batch),
        options.require_signature,
        page=options.report is not None,
    )
