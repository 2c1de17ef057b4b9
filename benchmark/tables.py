"""Makes the tables of the pages from what the benchmarks wrote.

python benchmark/tables.py [--check]

In a page, what lies between `<!-- table: NAME -->` and `<!-- end of table -->` comes from
docs/benchmarks/results/NAME.json: commands, table, and when, of which commit, on what and with which images it was
measured; or that it was not, where there is no such file. `--check` changes nothing and exits with 1 if a page is not
as its files have it.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from results import FOLDER, ROOT, Column, line

PAGES = tuple(sorted((ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(r"<!-- table: (?P<name>\w+) -->\n(?P<content>.*?)<!-- end of table -->\n", re.DOTALL)
NOT_MEASURED = "Not measured.\n\n"


def rendered(result: Mapping[str, Any]) -> str:
    """What stands in a page for one file of results."""
    columns = [Column(**column) for column in result["columns"]]
    lines = [f"    {command}" for command in result["command"]]
    lines += ["", line([column.title for column in columns]), line(["---"] * len(columns))]
    lines += [line([column.cell(row) for column in columns]) for row in result["rows"]]
    measured = [f"*{_measured(result)}*", ""] if "commit" in result else []  # otherwise each row has its own
    return "\n".join([*lines, "", *measured])


def _measured(result: Mapping[str, Any]) -> str:
    day = date.fromisoformat(result["date"])
    when = f"{day.day} {day:%B %Y}"
    if result.get("transcribed"):
        when = f"Measured before commit {result['commit']} of {when}, which wrote the figures down"
    else:
        when = f"Measured on {when} at commit {result['commit']}"
    return f"{when}. {result['hardware']}. {result['data']}."


def regenerated(page: str) -> str:
    """The page with its tables made anew."""

    def block(match: re.Match[str]) -> str:
        path = FOLDER / f"{match['name']}.json"
        content = rendered(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else NOT_MEASURED
        return f"<!-- table: {match['name']} -->\n{content}<!-- end of table -->\n"

    return BLOCK.sub(block, page)


def stale(pages: tuple[Path, ...] = PAGES) -> dict[Path, str]:
    """What the pages should be that are otherwise."""
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    return {page: new for page, text in texts.items() if (new := regenerated(text)) != text}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    changed = stale()
    for page, text in changed.items():
        print(f"{page.relative_to(ROOT)}: {'is not as its results are' if options.check else 'tables made anew'}")
        if not options.check:
            page.write_text(text, encoding="utf-8")
    return 1 if options.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
