"""For tests: the tables of docs/ros.md, so that what the page promises is what is tested."""

import re
from pathlib import Path

from support import ROOT

ROS_PAGE = ROOT / "docs" / "ros.md"


def table_below(heading: str, page: Path = ROS_PAGE, number: int = 1) -> list[dict[str, str]]:
    """The rows of a table below a heading (its text without #, markup included), as {column: cell}.

    Cells are as written, without the spaces around them; "\\|" in a cell is "|". `number` 2 is the second table there.
    Raises ValueError if there is none.
    """
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    found = re.findall(r"(?:^\|.*\|\n)+", section[1] + "\n", re.MULTILINE) if section else []
    if len(found) < number:
        raise ValueError(f"{page}: no table {number} below the heading '{heading}'")
    columns, _, *rows = (_cells(line) for line in found[number - 1].splitlines())
    return [dict(zip(columns, row, strict=True)) for row in rows]


def code_in(cell: str) -> list[str]:
    """All that stands between backticks in a cell, in its order."""
    return re.findall(r"`([^`]*)`", cell)


def _cells(line: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
