"""How a map of PRAM is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.points import Points
from vloc_ros.mapping.geometry_kinds import DepthTracks, GeometryKind
from vloc_ros.mapping.place_geometry import Geometry, Place
from vloc_ros.mapping.place_regions import PlaceRegions, Regions
from vloc_ros.mapping.point_regions import divide_points, joined_points, of_points
from vloc_ros.mapping.point_selection import chosen_points, select_points
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.progress import Progress
from vloc_ros.training.pram.options import PRAMOptions


@dataclass(frozen=True)
class PRAMRecipe:
    """Satisfies `vloc_ros.training.recipe.SparseRecipe`."""

    options: PRAMOptions

    def geometry(self, mesh: Path | None, places: int) -> GeometryKind:
        """Points of tracks."""
        return DepthTracks()

    def make_regions(self, places: Sequence[Place], geometry: Geometry, progress: Progress) -> Regions:
        """Landmarks of each place, and the points that are kept of its reconstruction, in their landmarks."""
        made = [self._divide(place, geometry) for place in places]
        regions = tuple(region for region, _, _ in made)
        points = joined_points([(points, rows) for _, points, rows in made], [len(each.landmarks) for each in regions])
        return Regions(regions, points=points)

    def _divide(self, place: Place, geometry: Geometry) -> tuple[PlaceRegions, Points, NDArray[np.int32]]:
        """Landmarks, points, and the row (P,) of the landmark of each point."""
        reconstruction = geometry.of(place.name).shape
        assert isinstance(reconstruction, Reconstruction)
        assert place.features is not None
        divided = divide_points(reconstruction, self.options.landmarks)
        chosen = np.zeros(len(divided.reconstruction), dtype=np.bool_)
        chosen[chosen_points(divided.reconstruction, self.options.points)] = True
        kept = of_points(divided.reconstruction, chosen)
        points = select_points(kept, place.features, len(kept))
        return PlaceRegions(place.name, divided.landmarks), points, divided.regions[chosen]

    def summary(self) -> Mapping[str, Any]:
        return {"recognition": self.options.recognition}
