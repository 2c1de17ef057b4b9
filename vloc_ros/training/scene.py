"""What training starts from: the places and what the method has made of them, kept so that it is not made twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets import Dataset
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.files import atomic_file, write_errors
from vloc_ros.mapping.landmarks import Landmarks
from vloc_ros.mapping.surface import Surface


@dataclass(frozen=True, eq=False)
class Place:
    """One scene to be mapped, before anything is known of it; `mesh`: a file of its surface, if there is one."""

    name: str
    dataset: Dataset
    mesh: Path | None = None


@dataclass(frozen=True, eq=False)
class MappedPlace:
    """One scene with its landmarks; `surface` is None where only sparse points were known."""

    name: str
    landmarks: Landmarks
    surface: Surface | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """All places of a map, and whatever else the method has to remember of them, as arrays by name."""

    places: tuple[MappedPlace, ...]
    extras: Mapping[str, NDArray[Any]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(place.name for place in self.places)

    @property
    def positions(self) -> NDArray[np.float64]:
        """Of all landmarks (K, 3), place after place, each in the frame of its own."""
        return self.of_landmarks("positions")

    def of_landmarks(self, name: str) -> NDArray[Any]:
        """One of the arrays of Landmarks, place after place."""
        return np.concatenate([getattr(place.landmarks, name) for place in self.places])

    @property
    def scene_of_landmark(self) -> NDArray[np.int32]:
        """The number (K,) of each landmark's place."""
        counts = [len(place.landmarks) for place in self.places]
        return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def save_scene(path: Path, scene: Scene) -> None:
    """Write a scene, all at once. Raises ConfigError when it cannot be written."""
    arrays: dict[str, Any] = {f"extras/{name}": value for name, value in scene.extras.items()}
    for number, place in enumerate(scene.places):
        for part in (place.landmarks, place.surface):
            if part is not None:
                kind = type(part).__name__
                arrays |= {f"{number}/{kind}/{name}": value for name, value in vars(part).items()}
    with write_errors(path), atomic_file(path) as file:
        np.savez(file, names=np.array(scene.names), **arrays)


def load_scene(path: Path) -> Scene:
    """Read what `save_scene` wrote. Raises DatasetError for a file that is not whole."""
    try:
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
        names: Sequence[str] = arrays["names"].tolist()
        return Scene(tuple(_place(arrays, number, name) for number, name in enumerate(names)), group(arrays, "extras"))
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, ConfigError) as error:
        raise DatasetError(f"{path}: not a complete scene ({error}); --fresh makes it anew") from error


def _place(arrays: Mapping[str, NDArray[Any]], number: int, name: str) -> MappedPlace:
    surface: dict[str, Any] = group(arrays, f"{number}/Surface")
    if surface:
        surface["voxel_size"] = float(surface["voxel_size"])
    landmarks = Landmarks(**group(arrays, f"{number}/Landmarks"))
    return MappedPlace(name, landmarks, Surface(**surface) if surface else None)


def group(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, Any]:
    """Those whose names begin with PREFIX/, without it."""
    return {name.removeprefix(f"{prefix}/"): value for name, value in arrays.items() if name.startswith(f"{prefix}/")}
