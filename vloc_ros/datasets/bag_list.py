"""A list of bags, in a YAML file: which are to be evaluated, and what is known of each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vloc_ros.datasets.yaml_list import read_yaml_list, require_different_names
from vloc_ros.errors import DatasetError

PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")  # can be that of a file
NAME, BAG, MAP = "name", "bag", "map"
# What else can be said of a bag, as the options of `vloc evaluate` of the same names; all are texts.
SETTINGS = ("place", "truth", "truth_frame", "image_topic", "camera_info_topic", "camera_frame", "odom_frame")


@dataclass(frozen=True)
class ListedBag:
    """A bag, its `name` in reports, the map if that is another than the others', and `settings` by name."""

    name: str
    bag: Path
    map: Path | None = None
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def read_bag_list(path: Path) -> tuple[ListedBag, ...]:
    """The bags that a file lists; paths are relative to it. Raises DatasetError."""
    listed = read_yaml_list(path, f"bags, each with {NAME} and {BAG}")
    bags = tuple(_listed(path, number, node) for number, node in enumerate(listed, start=1))
    require_different_names(path, "bags", [bag.name for bag in bags])
    return bags


def _listed(path: Path, number: int, node: Any) -> ListedBag:
    where = f"{path}, bag {number}"
    if not isinstance(node, dict):
        raise DatasetError(f"{where} is '{node}', expected {NAME} and {BAG}")
    for key, value in node.items():
        if key not in (NAME, BAG, MAP, *SETTINGS):
            raise DatasetError(f"{where}: unknown key '{key}', known are {', '.join((NAME, BAG, MAP, *SETTINGS))}")
        if not isinstance(value, str) or not value:
            raise DatasetError(f"{where}: {key} is {value!r}, expected a text")
    if missing := [key for key in (NAME, BAG) if key not in node]:
        raise DatasetError(f"{where}: {missing[0]} is missing")
    if not PLAIN_NAME.fullmatch(node[NAME]):
        raise DatasetError(f"{where}: name '{node[NAME]}' cannot be the name of a file: letters, digits, _, - and .")
    other = path.parent / node[MAP] if MAP in node else None
    settings = {key: node[key] for key in SETTINGS if key in node}
    return ListedBag(node[NAME], path.parent / node[BAG], other, settings)
