"""Several data sets as one, each a scene with a map frame of its own (docs/datasets.md)."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from vloc_ros.core.manifest import SCENE_NAME
from vloc_ros.datasets import DATASETS, open_dataset
from vloc_ros.datasets.altered import Altered
from vloc_ros.datasets.subset import Subset
from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.errors import DatasetError, VlocError
from vloc_ros.geometry.camera import Camera

KIND = "joined"
KEYS = {"name": True, "dataset": True, "root": False, "poses": False}  # of a scene, and whether it needs them


@dataclass(frozen=True, eq=False)
class Scene(Altered):
    """The frames of `parent` as those of the scene `label`: that stands in front of their names."""

    label: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.label}/{name}" for name in self.parent.names)

    def scene(self, index: int) -> str:
        return self.label

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        return replace(self.parent.frame(index, depth=depth), name=self.names[index], scene=self.label)


@dataclass(frozen=True, eq=False)
class Joined:
    """A Dataset of the frames of several scenes, one scene after the other. Poses are in their scene's own frame."""

    scenes: tuple[Scene, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(name for scene in self.scenes for name in scene.names)

    @cached_property
    def has_depth(self) -> bool:
        """Whether every scene has it; `scene_parts` tells of each."""
        return all(scene.has_depth for scene in self.scenes)

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        return tuple(accumulate(len(scene) for scene in self.scenes))

    def __len__(self) -> int:
        return self._ends[-1]

    def locate(self, index: int) -> tuple[Scene, int]:
        """The scene of a frame, and the frame's index in it."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        index %= len(self)
        which = bisect_right(self._ends, index)
        return self.scenes[which], index - self._ends[which] + len(self.scenes[which])

    def scene(self, index: int) -> str:
        return self.locate(index)[0].label

    def camera(self, index: int) -> Camera:
        scene, own = self.locate(index)
        return scene.camera(own)

    def map_from_camera(self, index: int) -> NDArray[np.float64]:
        scene, own = self.locate(index)
        return scene.map_from_camera(own)

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        scene, own = self.locate(index)
        return scene.frame(own, depth=depth)


def scene_parts(dataset: Dataset) -> tuple[tuple[str, Subset], ...]:
    """The frames of each scene and its name, "" for a data set of one place; in the order of their first frames."""
    base, indices = dataset, list(range(len(dataset)))
    while isinstance(base, Subset):
        indices = [base.indices[index] for index in indices]
        base = base.parent
    parts: dict[str, tuple[Dataset, list[int]]] = {}
    for index in indices:
        # Of a joined data set the part is one of the scene itself, which knows whether that scene has depth.
        source, own = base.locate(index) if isinstance(base, Joined) else (base, index)
        parts.setdefault(base.scene(index), (source, []))[1].append(own)
    return tuple((name, Subset(source, own)) for name, (source, own) in parts.items())


def open_joined(root: Path | None, split: str, poses: Path | str | None = None) -> Joined:
    """Open the same split of every scene that the file `root` lists. Raises DatasetError naming the file and scene."""
    if root is None:
        raise DatasetError(f"{KIND}: give the file that lists the scenes as the root")
    if poses is not None:
        raise DatasetError(f"{root}: each scene has its own poses, they belong into this file; given is {poses}")
    if Path(split).suffix or len(Path(split).parts) > 1:
        raise DatasetError(f"{root}: a split of joined scenes is a name that each of them knows; given is {split}")
    scenes = tuple(_open_scene(root, number, node, split) for number, node in enumerate(_read_list(root), start=1))
    labels = [scene.label for scene in scenes]
    if twice := [label for label in labels if labels.count(label) > 1]:
        raise DatasetError(f"{root}: two scenes are called '{twice[0]}'")
    return Joined(scenes)


def _read_list(path: Path) -> list[Any]:
    try:
        listed = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise DatasetError(f"{path}: not valid YAML{f' in line {mark.line + 1}' if mark else ''}") from error
    if not isinstance(listed, list) or not listed:
        raise DatasetError(f"{path}: expected a list of scenes, each with {', '.join(KEYS)}")
    return listed


def _open_scene(path: Path, number: int, node: object, split: str) -> Scene:
    where = f"{path}, scene {number}"
    values = _checked(where, node)
    kind, label = values["dataset"], values["name"]
    if not SCENE_NAME.fullmatch(label):
        raise DatasetError(
            f"{where}: name '{label}' is not made of at most 64 letters, digits and _, beginning with a letter"
        )
    if kind == KIND:
        raise DatasetError(f"{where}: '{KIND}' scenes cannot be joined again, list theirs here")
    root, poses = (path.parent / values[key] if key in values else None for key in ("root", "poses"))
    try:
        dataset = open_dataset(kind, root, split, poses)
    except VlocError as error:
        raise DatasetError(f"{where} ({label}): {error}") from error
    return Scene(dataset, label)


def _checked(where: str, node: object) -> Mapping[str, str]:
    """The texts of one scene by key. Raises DatasetError."""
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
