"""The key points of a query's views, in the pixels that correspondences are in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.method import Observation
from vloc_ros.core.points import Float
from vloc_ros.core.query import View
from vloc_ros.core.session import Tensors
from vloc_ros.core.types import LandmarkMap
from vloc_ros.features.types import KeyPoints
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.methods.network_input import image_pixels

# Standard deviation of a key point from its point, an axis, in the image that it was found in: the more alike they
# look, the nearer they are. Measured on held-out frames; the map's calibration knows how much it is worth.
SIGMA_PX, PER_UNLIKENESS = 1.0, 6.0
DERIVED = "key_points"

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class ViewKeyPoints:
    """The key points of the query's view number `view`, best first: `pixels` (K, 2) of its undistorted image, of which
    `scale` are one pixel of the image that they were found in; `descriptors` (K, D) of length 1. `corrected`: the
    pixels (K, 2) by the place that they are looked for in, where its map knows what the camera's lens is off by."""

    view: int
    camera: RigCamera
    pixels: Float
    scale: float
    descriptors: NDArray[np.float32]
    corrected: Mapping[int, Float] = field(default_factory=dict)

    def pixels_in(self, place: int) -> Float:
        """The pixels (K, 2) as the declared camera would see the points of a place."""
        return self.corrected.get(place, self.pixels)

    def correspondences(
        self,
        rows: Rows,
        matched: Rows,
        similarities: NDArray[np.float32],
        landmark_map: LandmarkMap,
        shifts: Float | None = None,
    ) -> Correspondences:
        """Key points `rows` (M,) that show the points `matched` (M,) of a map that has points; `similarities` (M,):
        cosines of their descriptors; `shifts` (M, 2): as `Correspondences` has them, by default none."""
        points = landmark_map.points
        assert points is not None
        places = points.places[matched]
        pixels = self.pixels[rows]
        for place, corrected in self.corrected.items():
            pixels[places == place] = corrected[rows[places == place]]
        return Correspondences(
            pixels=pixels,
            points=points.positions[matched],
            sigmas=SIGMA_PX * self.scale * (1 + PER_UNLIKENESS * (1 - np.minimum(similarities, 1).astype(np.float64))),
            landmark_ids=landmark_map.ids[points.regions[matched]],
            views=np.full(len(rows), self.view, dtype=np.int32),
            places=places,
            shifts=np.empty((0, 2)) if shifts is None else shifts,
        )


def query_key_points(observation: Observation, landmark_map: LandmarkMap) -> list[ViewKeyPoints]:
    """Those of each view; made once, as an observation is of one map."""
    if DERIVED not in observation.derived:
        views = zip(observation.query.views, observation.tensors, strict=True)
        observation.derived[DERIVED] = [
            _view_key_points(index, view, tensors, landmark_map.manifest) for index, (view, tensors) in enumerate(views)
        ]
    found: list[ViewKeyPoints] = observation.derived[DERIVED]
    return found


def _view_key_points(index: int, view: View, tensors: Tensors, manifest: Manifest) -> ViewKeyPoints:
    key_points = KeyPoints.of(tensors)
    pixels, scale = image_pixels(key_points.pixels, view.image, manifest.image_size, view.scale)
    corrected = {
        manifest.require_index(name): lens.moved(pixels, view.image.camera)
        for name, lens in manifest.lenses.items()
        if lens.is_of(view.image.camera, manifest.image_size)
    }
    return ViewKeyPoints(index, view.rig_camera, pixels, scale, key_points.descriptors, corrected)
