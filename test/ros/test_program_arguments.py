"""Parameters as words of a command line: ROS reads each as what it was."""

from pathlib import Path

import pytest
import yaml

from vloc_ros.ros.programs import as_arguments


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        0,
        -3,
        1.0,
        1e6,
        1e-9,
        "",
        "map",
        "/maps/my office: north",
        "yes",
        "5",
        ".nan",
        "é",
        [],
        ["0123", "a"],
    ],
)
def test_a_value_stays_what_it_was(value: object) -> None:
    dash_p, word = as_arguments({"name": value})
    assert dash_p == "-p"
    name, _, text = word.partition(":=")
    read = yaml.safe_load(text)
    assert (name, read, type(read)) == ("name", value, type(value))
    assert "\n" not in word


def test_paths_are_texts_and_all_come_in_order() -> None:
    assert as_arguments({"map": Path("/maps/office"), "threads": 1}) == ["-p", "map:=/maps/office", "-p", "threads:=1"]
