"""The report of many bags: one table, which leads to a page for each."""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from vloc_ros.evaluation.bag_runs import HEAD, BagRun, table_rows
from vloc_ros.evaluation.report.page import page, section, table, tiles
from vloc_ros.files import write_text


def write_bags_report(path: Path, runs: Mapping[str, BagRun], remarks: Mapping[str, Iterable[str]]) -> None:
    """Write `path`, and into the folder of its name without the ending the pages of the bags, NAME.html, and their
    evaluations, NAME.json. Raises ConfigError when something cannot be written."""
    folder = path.with_suffix("")
    for name, run in runs.items():
        if run.page:
            write_text(folder / f"{name}.html", run.page)
            write_text(folder / f"{name}.json", run.evaluation)
    failed = sum(run.summary is None for run in runs.values())
    figures = {
        "bags": (str(len(runs)), ""),
        "failed": (str(failed), "bad" if failed else "good"),
        "with remarks": (str(len(remarks)), "bad" if remarks else "good"),
    }
    card = table(HEAD, table_rows(runs, remarks))
    for name, run in runs.items():
        if run.page:
            link = f'<td><a href="{escape(folder.name)}/{escape(name)}.html">{escape(name)}</a></td>'
            card = card.replace(f"<td>{escape(name)}</td>", link, 1)
    write_text(path, page(path.stem, f"{len(runs)} bags", [tiles(figures), section("Bag by bag", card)]))
