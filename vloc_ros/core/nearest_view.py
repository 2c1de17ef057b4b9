"""How far a camera is from where a map has seen its place from."""

import math
from dataclasses import dataclass

import numpy as np

from vloc_ros.geometry.transforms import Matrix, pose_distances


@dataclass(frozen=True)
class NearestView:
    """How far the closest image that the map was made from was taken."""

    distance_m: float
    angle_deg: float

    @property
    def view_distance(self) -> float:
        """Metres and radians in one: a radian away counts as much as a metre."""
        return self.distance_m + math.radians(self.angle_deg)


def distance_to_nearest_view(mapping_views: Matrix, map_from_camera: Matrix) -> float:
    """`NearestView.view_distance`; 0 where no views (V, 4, 4) are known."""
    nearest = nearest_view(mapping_views, map_from_camera)
    return nearest.view_distance if nearest else 0.0


def nearest_view(mapping_views: Matrix, map_from_camera: Matrix) -> NearestView | None:
    """The view (V, 4, 4) of the least `view_distance` from a camera; None of none."""
    if not len(mapping_views):
        return None
    distances, angles = pose_distances(mapping_views, map_from_camera)
    nearest = int(np.argmin(distances + angles))
    return NearestView(float(distances[nearest]), math.degrees(angles[nearest]))
