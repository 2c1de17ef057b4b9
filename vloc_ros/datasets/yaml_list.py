"""YAML files that list things by name: the places of a joined data set, the bags of an evaluation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from vloc_ros.errors import DatasetError
from vloc_ros.text_files import read_bytes


def read_yaml_list(path: Path, what: str) -> list[Any]:
    """The nodes of a file that is one list, which is not empty; `what` it is of, for people. Raises DatasetError."""
    try:
        listed = yaml.safe_load(read_bytes(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise DatasetError(f"{path}: not valid YAML{f' in line {mark.line + 1}' if mark else ''}") from error
    if not isinstance(listed, list) or not listed:
        raise DatasetError(f"{path}: expected a list of {what}")
    return listed


def require_different_names(path: Path, what: str, names: Sequence[str]) -> None:
    """Raise DatasetError where two of them, `what` in the plural, have the same name."""
    if twice := [name for name in names if names.count(name) > 1]:
        raise DatasetError(f"{path}: two {what} are called '{twice[0]}'")
