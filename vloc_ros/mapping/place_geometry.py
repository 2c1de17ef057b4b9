"""The shape of places, before anything is learned of them: a surface, sparse points or a reconstruction, and how depth
is corrected."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.subset import WithoutDepth
from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import DatasetError
from vloc_ros.features.cache import FeatureCache
from vloc_ros.files import write_text
from vloc_ros.mapping.array_files import group, grouped, loaded_arrays, save_arrays
from vloc_ros.mapping.depth_calibration import CorrectedDepth, DepthCorrection
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.mapping.sparse import SparsePoints
from vloc_ros.mapping.surface import Surface

Shape: TypeAlias = Surface | SparsePoints | Reconstruction


@dataclass(frozen=True, eq=False)
class Place:
    """One place that is to be mapped: its name, and its frames as they were recorded; `features`: their key points, of
    sparse methods."""

    name: str
    frames: Dataset
    features: FeatureCache | None = None


@dataclass(frozen=True)
class Figures:
    """What a person wants to know of a place's geometry: `count` points, their `extent_m` along x, y and z, the
    `area_m2` of a surface, and how many of the `all_frames` it was made of. `depth_share`: of the frames' pixels, those
    whose depth is known and not at an edge; None where depth is not read.
    """

    count: int
    extent_m: tuple[float, float, float]
    area_m2: float | None
    frames: int
    all_frames: int
    depth_share: float | None

    def describe(self) -> str:
        """In one line."""
        what = f"{self.count} points" if self.area_m2 is None else f"{self.area_m2:.1f} m2 in {self.count} points"
        extent = " x ".join(f"{metres:.1f}" for metres in self.extent_m)
        depth = "" if self.depth_share is None else f", depth of {self.depth_share:.0%} of the pixels"
        return f"{what}, {extent} m, from {self.frames} of {self.all_frames} frames{depth}"


@dataclass(frozen=True, eq=False)
class PlaceGeometry:
    """The shape of one place, in its own map frame. `depth`: how the depth of its frames is corrected; None where that
    is not there, or not to be read."""

    name: str
    shape: Shape
    depth: DepthCorrection | None
    figures: Figures

    def frames(self, recorded: Dataset) -> Dataset:
        """Frames of the place with the depth that belongs to its shape."""
        if self.depth is None or not recorded.has_depth:
            return WithoutDepth(recorded, range(len(recorded)))
        return CorrectedDepth(recorded, self.depth)


@dataclass(frozen=True, eq=False)
class Geometry:
    """Of all places of a map, in their order."""

    places: tuple[PlaceGeometry, ...]

    def __iter__(self) -> Iterator[PlaceGeometry]:
        return iter(self.places)

    def of(self, name: str) -> PlaceGeometry:
        """That of the place of this name. Raises KeyError."""
        return {place.name: place for place in self.places}[name]

    @property
    def depth_corrections(self) -> Mapping[str, DepthCorrection]:
        """By the name of the place, where its depth is read."""
        return {place.name: place.depth for place in self.places if place.depth is not None}


def points_of(shape: Shape) -> NDArray[np.float64]:
    """Points (N, 3), metres."""
    return shape.points if isinstance(shape, Surface) else shape.positions


def figures_of(shape: Shape, frames: int, all_frames: int, depth_share: float | None) -> Figures:
    """Those of a shape; the others are given."""
    points = points_of(shape)
    x, y, z = np.ptp(points, axis=0).tolist()
    area = len(points) * shape.voxel_size**2 if isinstance(shape, Surface) else None
    return Figures(len(points), (x, y, z), area, frames, all_frames, depth_share)


def place_file(directory: Path, kind: str, place: str, ending: str) -> Path:
    """KIND_PLACE.ENDING, or KIND.ENDING for the only place."""
    return directory / (f"{kind}_{place}.{ending}" if place else f"{kind}.{ending}")


def geometry_files(directory: Path, with_depth: Iterable[str]) -> tuple[Path, ...]:
    """What `save_geometry` writes, where the depth of the places of these names is read."""
    depths = (place_file(directory, "depth", name, "json") for name in with_depth)
    return directory / "geometry.npz", directory / "geometry.json", *depths


def save_geometry(directory: Path, geometry: Geometry) -> None:
    """Write geometry.npz and geometry.json, and depth.json where depth is read; for several places each has one of its
    own. Each file is written all at once. Raises ConfigError when one cannot be written."""
    arrays: dict[str, Any] = {"names": np.array([place.name for place in geometry])}
    for number, place in enumerate(geometry):
        kind, shape = type(place.shape).__name__, place.shape
        values = vars(shape) if isinstance(shape, Surface) else shape.as_arrays()
        arrays |= grouped(f"{number}/{kind}", values)
    for name, depth in geometry.depth_corrections.items():
        depth.save(place_file(directory, "depth", name, "json"))
    figures = {place.name: asdict(place.figures) for place in geometry}
    write_text(directory / "geometry.json", json.dumps(figures, indent=1) + "\n")
    save_arrays(directory / "geometry.npz", arrays)


def load_geometry(directory: Path) -> Geometry:
    """Read what `save_geometry` wrote. Raises DatasetError for what is not whole."""
    figures = _load_figures(directory / "geometry.json")
    with loaded_arrays(directory / "geometry.npz", "geometry") as arrays:
        places = []
        for number, name in enumerate(arrays["names"].tolist()):
            read = figures[name].depth_share is not None
            depth = DepthCorrection.load(place_file(directory, "depth", name, "json")) if read else None
            places.append(PlaceGeometry(name, _shape(arrays, number), depth, figures[name]))
        return Geometry(tuple(places))


def _shape(arrays: Mapping[str, NDArray[Any]], number: int) -> Shape:
    if points := group(arrays, f"{number}/SparsePoints"):
        return SparsePoints.from_arrays(points)
    if points := group(arrays, f"{number}/Reconstruction"):
        return Reconstruction.from_arrays(points)
    surface = group(arrays, f"{number}/Surface")
    return Surface(**{**surface, "voxel_size": float(surface["voxel_size"])})


def _load_figures(path: Path) -> dict[str, Figures]:
    try:
        listed = json.loads(path.read_text())
        return {name: Figures(**{**each, "extent_m": tuple(each["extent_m"])}) for name, each in listed.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DatasetError(f"{path}: not a complete geometry ({error}); --fresh makes it anew") from error
