"""Stage 2, geometry: the shape of each place, and how the depth of its frames is corrected."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vloc_ros.mapping.geometry_kinds import GeometryKind, make_place_geometry, options_of
from vloc_ros.mapping.place_geometry import (
    Geometry,
    geometry_files,
    load_geometry,
    place_file,
    save_geometry,
)
from vloc_ros.mapping.top_view import save_top_view
from vloc_ros.progress import Progress
from vloc_ros.training.stages.source_stage import Sources
from vloc_ros.training.stages.stage import Stage


@dataclass(frozen=True, eq=False)
class GeometryStage(Stage[Geometry]):
    """Makes the shapes with `kind`, and a picture of each from above."""

    kind: GeometryKind
    sources: Sources

    name = "geometry"

    def inputs(self) -> Mapping[str, Any]:
        return {f"geometry.{name}": value for name, value in options_of(self.kind).items()}

    def files(self) -> Mapping[str, Path]:
        return {path.name: path for path in self.kind.files}

    def make(self, directory: Path, progress: Progress) -> Geometry:
        sources = self.sources
        geometry = Geometry(
            tuple(make_place_geometry(self.kind, place, sources.description, progress) for place in sources.places)
        )
        save_geometry(directory, geometry)
        for place, shape in zip(sources.places, geometry, strict=True):
            poses = np.stack([place.frames.map_from_camera(index) for index in range(len(place.frames))])
            save_top_view(place_file(directory, "geometry", place.name, "png"), shape, poses)
        return geometry

    def load(self, directory: Path) -> Geometry:
        return load_geometry(directory)

    def artefact(self, directory: Path) -> Iterable[Path]:
        kind, places = self.kind, self.sources.places
        read = [place.name for place in places if kind.reads_depth and place.frames.has_depth]
        return (
            *geometry_files(directory, read),
            *(place_file(directory, "geometry", place.name, "png") for place in places),
        )

    def describe(self, directory: Path, product: Geometry) -> str:
        return "; ".join(
            f"{place.name}{': ' if place.name else ''}{place.figures.describe()}, "
            f"from above in {place_file(directory, 'geometry', place.name, 'png')}"
            for place in product
        )
