"""What is told to people is one line that their terminal and their log only show."""

import pytest

from vloc_ros.cli import main
from vloc_ros.errors import MAX_SHOWN, ConfigError, DatasetError, printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("kitchen", "kitchen"),
        ("Küche 3, 厨房", "Küche 3, 厨房"),
        ("a\n[INFO] all is well", r"a\n[INFO] all is well"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\u202ereversed", r"\u202ereversed"),
        ("half a pair \ud83d", r"half a pair \ud83d"),
        ("bell\a and tab\t", r"bell\x07 and tab\t"),
    ],
)
def test_names_cannot_forge_lines_or_command_a_terminal(name: str, shown: str) -> None:
    assert printable(name) == shown
    assert str(DatasetError(f"topic {name}: no images")) == f"topic {shown}: no images"
    shown.encode()


def test_an_endless_name_is_cut_and_its_ends_stay() -> None:
    line = str(ConfigError("camera " + "x" * 10_000_000 + " is not known"))
    assert len(line) <= MAX_SHOWN
    assert line.startswith("camera x")
    assert line.endswith("x is not known")


def test_the_command_line_tells_a_forged_name_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "no\nmap\x1b[31m"]) == 1
    assert capsys.readouterr().err == "vloc: error: no\\nmap\\x1b[31m: there is no such map directory\n"
