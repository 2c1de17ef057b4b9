"""The key points of a query's views, in the pixels that correspondences are in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.method import Observation
from vloc_ros.core.points import Float
from vloc_ros.core.types import Correspondences, LandmarkMap
from vloc_ros.features.types import KeyPoints
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.methods.network_input import image_pixels

# Standard deviation of a key point from its point, an axis, in the image that it was found in: the more alike they
# look, the nearer they are. Measured on held-out frames; the map's calibration knows how much it is worth.
SIGMA_PX, PER_UNLIKENESS = 1.0, 6.0

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class ViewKeyPoints:
    """The key points of the query's view number `view`, best first: `pixels` (K, 2) of its undistorted image, of which
    `scale` are one pixel of the image that they were found in; `descriptors` (K, D) of length 1."""

    view: int
    camera: RigCamera
    pixels: Float
    scale: float
    descriptors: NDArray[np.float32]

    def correspondences(
        self, rows: Rows, matched: Rows, similarities: NDArray[np.float32], landmark_map: LandmarkMap
    ) -> Correspondences:
        """Key points `rows` (M,) that show the points `matched` (M,) of a map that has points; `similarities` (M,):
        cosines of their descriptors."""
        points = landmark_map.points
        assert points is not None
        return Correspondences(
            pixels=self.pixels[rows],
            points=points.positions[matched],
            sigmas=SIGMA_PX * self.scale * (1 + PER_UNLIKENESS * (1 - np.minimum(similarities, 1).astype(np.float64))),
            landmark_ids=landmark_map.ids[points.regions[matched]],
            views=np.full(len(rows), self.view, dtype=np.int32),
            places=points.places[matched],
        )


def query_key_points(observation: Observation, landmark_map: LandmarkMap) -> list[ViewKeyPoints]:
    """Those of each view."""
    found = []
    for index, (view, tensors) in enumerate(zip(observation.query.views, observation.tensors, strict=True)):
        key_points = KeyPoints.of(tensors)
        pixels, scale = image_pixels(key_points.pixels, view.image, landmark_map.manifest.image_size)
        found.append(ViewKeyPoints(index, view.rig_camera, pixels, scale, key_points.descriptors))
    return found
