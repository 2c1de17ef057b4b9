"""What a method divides places into, and keeps of that: landmarks of each place, and arrays of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.points import Points
from vloc_ros.mapping.array_files import group, grouped, loaded_arrays, save_arrays
from vloc_ros.mapping.landmarks import Landmarks


@dataclass(frozen=True, eq=False)
class PlaceRegions:
    """The regions of one place; the landmarks are their centres."""

    name: str
    landmarks: Landmarks


@dataclass(frozen=True, eq=False)
class Regions:
    """Of all places of a map, in their order, and what else the method has to remember of them, as arrays by name.
    `points`: those of a sparse method's map, whose `regions` are rows of these landmarks."""

    places: tuple[PlaceRegions, ...]
    extras: Mapping[str, NDArray[Any]] = field(default_factory=lambda: MappingProxyType({}))
    points: Points | None = None

    def __iter__(self) -> Iterator[PlaceRegions]:
        return iter(self.places)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the places."""
        return tuple(place.name for place in self.places)

    @property
    def positions(self) -> NDArray[np.float64]:
        """Of all landmarks (K, 3), place after place, each in the frame of its own."""
        return self.of_landmarks("positions")

    def of_landmarks(self, name: str) -> NDArray[Any]:
        """One of the arrays of Landmarks, place after place."""
        return np.concatenate([getattr(place.landmarks, name) for place in self.places])

    @property
    def place_of_landmark(self) -> NDArray[np.int32]:
        """The number (K,) of each landmark's place."""
        counts = [len(place.landmarks) for place in self.places]
        return np.repeat(np.arange(len(counts), dtype=np.int32), counts)

    def describe(self) -> str:
        """In one line."""
        extents = self.of_landmarks("extents")
        points = "" if self.points is None else f"{len(self.points)} points in "
        return f"{points}{len(extents)} regions, up to {np.median(extents):.2f} m from their centres (median)"


def save_regions(path: Path, regions: Regions) -> None:
    """Write them, all at once. Raises ConfigError when they cannot be written."""
    arrays: dict[str, Any] = {"names": np.array(regions.names), **grouped("extras", regions.extras)}
    for number, place in enumerate(regions):
        arrays |= grouped(f"{number}", vars(place.landmarks))
    if (points := regions.points) is not None:
        arrays |= grouped("points", {each.name: getattr(points, each.name) for each in fields(points)})
    save_arrays(path, arrays)


def load_regions(path: Path) -> Regions:
    """Read what `save_regions` wrote. Raises DatasetError for a file that is not whole."""
    with loaded_arrays(path, "set of regions") as arrays:
        names = arrays["names"].tolist()
        places = (PlaceRegions(name, Landmarks(**group(arrays, str(number)))) for number, name in enumerate(names))
        points = group(arrays, "points")
        return Regions(tuple(places), group(arrays, "extras"), Points(**points) if points else None)
