"""A package that is not installed is one line, with the command that installs it where this program will find it."""

import sys

import pytest

from vloc_ros.errors import ConfigError
from vloc_ros.optional_packages import optional_packages, pip_install


def test_the_command_is_of_the_python_that_runs_this() -> None:
    assert pip_install("a b") == f"{sys.executable} -m pip install a b"


def test_a_missing_package_is_one_line_with_the_remedy() -> None:
    line = r"^drawing needs the Python package 'no_such_package': do this$"
    with pytest.raises(ConfigError, match=line), optional_packages("drawing", "do this"):
        import no_such_package  # noqa: F401
    with optional_packages("drawing", "do this"):
        import json  # noqa: F401


def test_a_missing_part_of_this_package_is_no_advice() -> None:
    with pytest.raises(ModuleNotFoundError), optional_packages("drawing", "do this"):
        import vloc_ros.no_such_module  # noqa: F401
