"""The reader of documented tables itself."""

from pathlib import Path

import pytest
from support.documented_tables import code_in, table_below

PAGE = """# Title

| not | this |
|---|---|
| 0 | 0 |

## Cameras: `one` table

Text first.

| model | taken |
|---|---|
| `a\\|b`, `c` |  |
| d | yes |

| another | one |
|---|---|

## Empty
"""


def test_rows_are_read_by_column(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    rows = table_below("Cameras: `one` table", page)
    assert rows == [{"model": "`a|b`, `c`", "taken": ""}, {"model": "d", "taken": "yes"}]
    assert code_in(rows[0]["model"]) == ["a|b", "c"]
    assert table_below("Title", page) == [{"not": "0", "this": "0"}]
    for heading in ("Empty", "Cameras"):
        with pytest.raises(ValueError, match=heading):
            table_below(heading, page)


def test_the_page_of_ros_has_its_tables() -> None:
    names = [code_in(row["name"])[0] for row in table_below("Services")]
    assert "~/trigger" in names
