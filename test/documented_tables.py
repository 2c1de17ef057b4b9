"""For tests: the tables of docs/ros.md, so that what the page promises is what is tested."""

import re
from pathlib import Path

ROS_PAGE = Path(__file__).resolve().parents[1] / "docs" / "ros.md"


def table_below(heading: str, page: Path = ROS_PAGE) -> list[dict[str, str]]:
    """The rows of the first table below a heading (its text without #, markup included), as {column: cell}.

    Cells are as written, without the spaces around them; "\\|" in a cell is "|". Raises ValueError if there is none.
    """
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    found = section and re.search(r"(?:^\|.*\|\n)+", section[1] + "\n", re.MULTILINE)
    if not found:
        raise ValueError(f"{page}: no table below the heading '{heading}'")
    columns, _, *rows = (_cells(line) for line in found[0].splitlines())
    return [dict(zip(columns, row, strict=True)) for row in rows]


def code_in(cell: str) -> list[str]:
    """All that stands between backticks in a cell, in its order."""
    return re.findall(r"`([^`]*)`", cell)


def _cells(line: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
