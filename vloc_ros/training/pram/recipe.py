"""How a map of PRAM is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.points import Points
from vloc_ros.mapping.geometry_kinds import ColmapTracks, DepthTracks, GeometryKind
from vloc_ros.mapping.place_geometry import Geometry, Place, PlaceGeometry
from vloc_ros.mapping.place_regions import PlaceRegions, Regions
from vloc_ros.mapping.point_regions import PointRegions, divide_points, joined_points, of_points
from vloc_ros.mapping.point_selection import chosen_points, select_points
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.progress import Progress
from vloc_ros.training.pram.options import PRAMOptions
from vloc_ros.training.pram.point_colors import point_colors
from vloc_ros.training.pram.recognition_frames import (
    PosedImages,
    RecognitionFrames,
    labelled_images,
    recognition_frames,
)


@dataclass(frozen=True)
class PRAMRecipe:
    """Satisfies `vloc_ros.training.recipe.SparseRecipe`."""

    options: PRAMOptions

    def geometry(self, mesh: Path | None, places: int) -> GeometryKind:
        """Points of tracks, started from depth or from a COLMAP model."""
        model = self.options.colmap
        return DepthTracks() if model is None else ColmapTracks(model)

    def make_regions(self, places: Sequence[Place], geometry: Geometry, progress: Progress) -> Regions:
        """Landmarks of each place, and the points that are kept of its reconstruction, in their landmarks."""
        made = [self._divide(place, geometry) for place in places]
        regions = tuple(region for region, _, _ in made)
        points = joined_points([(points, rows) for _, points, rows in made], [len(each.landmarks) for each in regions])
        return Regions(regions, points=points)

    def _divide(self, place: Place, geometry: Geometry) -> tuple[PlaceRegions, Points, NDArray[np.int32]]:
        """Landmarks, points, and the row (P,) of the landmark of each point."""
        assert place.features is not None
        divided = self._landmarks(geometry.of(place.name))
        chosen = np.zeros(len(divided.reconstruction), dtype=np.bool_)
        chosen[chosen_points(divided.reconstruction, self.options.points)] = True
        kept = of_points(divided.reconstruction, chosen)
        colors = point_colors(kept, place.frames, place.features)
        points = replace(select_points(kept, place.features, len(kept)), colors=colors)
        return PlaceRegions(place.name, divided.landmarks), points, divided.regions[chosen]

    def recognition_frames(self, places: Sequence[Place], geometry: Geometry, progress: Progress) -> RecognitionFrames:
        """As many key points of each frame as are found at run time, with the landmark of each."""
        divided = [(self._landmarks(geometry.of(place.name)), place.features) for place in places]
        with progress.bar("labels") as advance:
            return recognition_frames(
                [(regions, features) for regions, features in divided if features is not None],
                self.options.key_points,
                advance,
            )

    def labelled_images(
        self, places: Sequence[Place], geometry: Geometry, images: Mapping[str, PosedImages]
    ) -> RecognitionFrames:
        """The same of images of these places, by the place's name, that they were not made of."""
        return labelled_images(
            [
                (self._landmarks(geometry.of(place.name)), place.features, images[place.name])
                for place in places
                if place.features is not None
            ],
            self.options.key_points,
        )

    def _landmarks(self, place: PlaceGeometry) -> PointRegions:
        """Of all of a place's points."""
        assert isinstance(place.shape, Reconstruction)
        return divide_points(place.shape, self.options.landmarks)

    def summary(self) -> Mapping[str, Any]:
        preset = {} if self.options.recognition == "none" else {"preset": self.options.preset}
        return {"recognition": self.options.recognition, **preset}
