"""Several data sets as one, each a place with a map frame of its own (docs/datasets.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from vloc_ros.core.manifest import PLACE_NAME
from vloc_ros.datasets import DATASETS, open_dataset
from vloc_ros.datasets.concatenation import Concatenation
from vloc_ros.datasets.subset import Subset
from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.datasets.wrapper import DatasetWrapper
from vloc_ros.datasets.yaml_list import read_yaml_list, require_different_names
from vloc_ros.errors import DatasetError, VlocError

KIND = "joined"
KEYS = {"name": True, "dataset": True, "root": False, "poses": False}  # of a place, and whether it needs them


@dataclass(frozen=True, eq=False)
class PlaceFrames(DatasetWrapper):
    """The frames of `parent` as those of the place `label`: that stands in front of their names."""

    label: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.label}/{name}" for name in self.parent.names)

    def place(self, index: int) -> str:
        return self.label

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        return replace(self.parent.frame(index, depth=depth), name=self.names[index], place=self.label)


class JoinedPlaces(Concatenation[PlaceFrames]):
    """A Dataset of the frames of several places, one place after the other. Poses are in their place's own frame;
    `place_parts` tells of each place whether it has depth."""

    @property
    def places(self) -> tuple[PlaceFrames, ...]:
        return self.parts


def place_parts(dataset: Dataset) -> tuple[tuple[str, Subset], ...]:
    """The frames of each place and its name, "" for a data set of one place; in the order of their first frames."""
    base, indices = dataset, list(range(len(dataset)))
    while isinstance(base, Subset):
        indices = [base.indices[index] for index in indices]
        base = base.parent
    parts: dict[str, tuple[Dataset, list[int]]] = {}
    for index in indices:
        # Of a joined data set the part is one of the place itself, which knows whether that place has depth.
        source, own = base.locate(index) if isinstance(base, JoinedPlaces) else (base, index)
        parts.setdefault(base.place(index), (source, []))[1].append(own)
    return tuple((name, Subset(source, own)) for name, (source, own) in parts.items())


def open_joined(root: Path | None, split: str, poses: Path | str | None = None) -> JoinedPlaces:
    """Open the same split of every place that the file `root` lists. Raises DatasetError naming the file and place."""
    return JoinedPlaces(tuple(_open_place(place, split) for place in listed_places(root, split, poses)))


@dataclass(frozen=True)
class ListedPlace:
    """What a file says of a place; `where` that is, for messages."""

    where: str
    name: str
    dataset: str
    root: Path | None
    poses: Path | None


def listed_places(root: Path | None, split: str, poses: Path | str | None = None) -> tuple[ListedPlace, ...]:
    """The places that the file `root` lists, of which nothing is opened. Raises DatasetError."""
    if root is None:
        raise DatasetError(f"{KIND}: give the file that lists the places as the root")
    if poses is not None:
        raise DatasetError(f"{root}: each place has its own poses, they belong into this file; given is {poses}")
    if Path(split).suffix or len(Path(split).parts) > 1:
        raise DatasetError(f"{root}: a split of joined places is a name that each of them knows; given is {split}")
    listed = read_yaml_list(root, f"places, each with {', '.join(KEYS)}")
    places = tuple(_listed(root, number, node) for number, node in enumerate(listed, start=1))
    require_different_names(root, "places", [place.name for place in places])
    return places


def _listed(path: Path, number: int, node: object) -> ListedPlace:
    where = f"{path}, place {number}"
    values = _checked(where, node)
    kind, name = values["dataset"], values["name"]
    if not PLACE_NAME.fullmatch(name):
        raise DatasetError(
            f"{where}: name '{name}' is not made of at most 64 letters, digits and _, beginning with a letter"
        )
    if kind == KIND:
        raise DatasetError(f"{where}: '{KIND}' places cannot be joined again, list theirs here")
    root, poses = (path.parent / values[key] if key in values else None for key in ("root", "poses"))
    return ListedPlace(where, name, kind, root, poses)


def _open_place(listed: ListedPlace, split: str) -> PlaceFrames:
    try:
        dataset = open_dataset(listed.dataset, listed.root, split, listed.poses)
    except VlocError as error:
        raise DatasetError(f"{listed.where} ({listed.name}): {error}") from error
    return PlaceFrames(dataset, listed.name)


def _checked(where: str, node: object) -> Mapping[str, str]:
    """The texts of one place by key. Raises DatasetError."""
    if not isinstance(node, dict):
        raise DatasetError(f"{where} is '{node}', expected {', '.join(KEYS)}")
    if unknown := [key for key in node if key not in KEYS]:
        raise DatasetError(f"{where}: unknown key '{unknown[0]}', known are {', '.join(KEYS)}")
    for key, required in KEYS.items():
        if required and key not in node:
            raise DatasetError(f"{where}: {key} is missing")
        if key in node and (not isinstance(node[key], str) or not node[key]):
            raise DatasetError(f"{where}: {key} is {node[key]!r}, expected a text")
    if node["dataset"] not in DATASETS:
        raise DatasetError(f"{where}: unknown data set kind '{node['dataset']}', known are {', '.join(DATASETS)}")
    return node
