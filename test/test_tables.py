"""The tables of the pages are what the benchmarks wrote, and whatever they wrote is on a page."""

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import results
import tables
from support import ROOT

FILES = sorted(results.FOLDER.glob("*.json"))


def test_no_page_differs_from_its_results() -> None:
    assert not [str(page) for page in tables.stale()], "run python benchmark/tables.py"


def test_a_table_that_was_changed_by_hand_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text((ROOT / "docs/benchmarks/latency.md").read_text().replace("3.8 / 5.1 ms", "2.8 / 5.1 ms"))
    assert list(tables.stale((page,))) == [page]


def test_all_results_are_shown() -> None:
    named = [name for page in tables.PAGES for name in re.findall(r"<!-- table: (\w+) -->", page.read_text())]
    shown, measured = set(named), {path.stem for path in FILES}
    assert len(shown) == len(named), "two tables of one name: the results of one have replaced the other's"
    assert measured <= shown
    assert shown - measured <= {"gpu"}, "whoever has no GPU cannot measure it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_results_say_how_they_came_about(path: Path) -> None:
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert result["command"]
    for entry in [result] if "commit" in result else result["rows"]:
        assert entry["commit"]
        assert entry["hardware"]
        assert entry["data"]
    if "commit" in result:
        assert date.fromisoformat(result["date"]).year >= 2026
    titles = [column["title"] for column in result["columns"]]
    assert len(set(titles)) == len(titles)
    assert all(any(results.Column(**column).cell(row) for row in result["rows"]) for column in result["columns"])


def test_what_a_benchmark_writes_becomes_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["benchmark/occlusion.py", "--map", "a map", "--json", "x.json", "--split", "test"])
    table = results.Results(
        "Data: two images",
        {"block": "{percent:g} %", "median": results.MEDIAN, "error": "{error}", "voting": "{voting}"},
    )
    table.add(percent=10.0, median_cm=1.234, median_deg=0.5, error=3)
    table.add(percent=20.0, median_cm=None, median_deg=None, texts={"median": "none"})
    table.write(tmp_path / "occlusion.json")
    written = json.loads((tmp_path / "occlusion.json").read_text())
    assert written["command"] == ["python benchmark/occlusion.py --map 'a map' --split test"]
    text = tables.rendered(written)
    assert "| block | median | error |" in text, "what nobody measured has no column"
    assert "| 10 % | 1.23 cm, 0.50 deg | 3 |\n| 20 % | none |  |" in text
    assert f"commit {written['commit']}" in text


def test_a_page_says_what_was_not_measured() -> None:
    page = "<!-- table: nobody_measured_this -->\nold\n<!-- end of table -->\n"
    assert tables.regenerated(page).splitlines()[1] == "Not measured."


def test_every_script_is_in_the_table_of_scripts() -> None:
    page = (ROOT / "benchmark/README.md").read_text(encoding="utf-8")
    missing = [path.name for path in (ROOT / "benchmark").glob("*.py") if f"`{path.name}`" not in page]
    assert not missing
