"""What a benchmark measured: printed as a table, row by row, and written as the JSON that `tables.py` makes pages of.

A file of `docs/benchmarks/results/` has the keys

    command    the lines that give these figures
    date       of the measurement, or of the commit that wrote it down
    commit     that was measured; where `transcribed` is true, the commit that wrote the figures down: they are older
    hardware   the computer, and what else ran on it
    data       the images
    columns    for each column its title and how a row's figures are shown in it
    rows       the figures by name; `texts` of a row, by the columns' titles, take the place of cells without figures
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

from vloc_ros.files import write_text

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs/benchmarks/results"
Row: TypeAlias = Mapping[str, Any]
MEDIAN = "{median_cm:.2f} cm, {median_deg:.2f} deg"
RECALL_5CM = "{recall_5cm_5deg_percent:.1f} %"
RECALLS = {  # a column
    "within 2 cm 1 deg / 5 cm 5 deg / 10 cm 5 deg": "{recall_2cm_1deg_percent:.1f} / {recall_5cm_5deg_percent:.1f} / "
    "{recall_10cm_5deg_percent:.1f} %"
}


@dataclass(frozen=True)
class Column:
    """`title` of the column; `show`: a format of a row's figures, such as "{p50_ms:.1f} / {p95_ms:.1f} ms"."""

    title: str
    show: str

    def cell(self, row: Row) -> str:
        """What stands in this column; empty where the row has neither a text of this title nor all the figures."""
        if self.title in (texts := row.get("texts", {})):
            return str(texts[self.title])
        try:
            return self.show.format_map({name: figure for name, figure in row.items() if figure is not None})
        except KeyError:
            return ""


def line(cells: Sequence[str]) -> str:
    """A row of a table in Markdown."""
    return "".join(f"| {cell} " for cell in cells) + "|"


class Results:
    """The table of one benchmark. Its heading is printed at once and each row when it is there."""

    def __init__(self, data: str, columns: Mapping[str, str], command: str | None = None) -> None:
        """`data`: which images, for people. `columns`: how the figures are shown, by the columns' titles. `command`: of
        a script that calls this one."""
        self._data, self._rows = data, list[Row]()
        self._command = {} if command is None else {"command": [command]}
        self._columns = [Column(title, show) for title, show in columns.items()]
        print(line(list(columns)), line(["---"] * len(columns)), sep="\n", flush=True)

    def add(self, **figures: Any) -> None:
        """One more row."""
        self._rows.append(figures)
        print(line([column.cell(figures) for column in self._columns]), flush=True)

    def write(self, path: Path | None) -> None:
        """As JSON, if there is a path; without columns that are empty in every row. Raises ConfigError when it cannot
        be written."""
        if path is None:
            return
        columns = [column for column in self._columns if any(map(column.cell, self._rows))]
        content = {
            **circumstances(),
            **self._command,
            "data": self._data,
            "columns": [vars(column) for column in columns],
            "rows": self._rows,
        }
        write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, for benchmark/tables.py")


def circumstances() -> dict[str, Any]:
    """With which command, when, of which commit and on what something is measured."""
    return {
        "command": [shlex.join(["python", f"benchmark/{Path(sys.argv[0]).name}", *_without_json(sys.argv[1:])])],
        "date": date.today().isoformat(),
        "commit": commit(),
        "hardware": f"{os.cpu_count()} cores of {_processor()}, load average {os.getloadavg()[0]:.1f}",
    }


def commit() -> str:
    """The short name of the commit that is checked out, with a + if files have changed since."""
    run = subprocess.run(
        ["git", "describe", "--always", "--exclude=*", "--dirty=+"], cwd=ROOT, capture_output=True, text=True
    )
    return run.stdout.strip() or "unknown"


def figures_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of `Evaluation.summary()` in the units of tables; None for a median of which there is none."""
    metres = summary["median_translation_m"]
    recalls = {f"{name}_percent": 100 * share for name, share in summary.items() if name.startswith("recall_")}
    return {
        "frames": summary["frames"],
        "median_cm": None if metres is None else round(100 * metres, 4),
        "median_deg": summary["median_rotation_deg"],
        **{name: round(percent, 2) for name, percent in recalls.items()},
        "rejected": summary["rejected"],
        "wrong_accepted": summary["wrong_accepted"],
    }


def _without_json(arguments: Sequence[str]) -> list[str]:
    """Where the figures are written is no part of how they came about."""
    kept = list(arguments)
    if "--json" in kept:
        at = kept.index("--json")
        del kept[at : at + 2]
    return kept


def _processor() -> str:
    for entry in Path("/proc/cpuinfo").read_text().splitlines():
        if entry.startswith("model name"):
            return entry.partition(":")[2].strip()
    return "an unknown processor"
