"""Which points of a map a camera can see from a pose."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.points import Float, Points
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import apply, invert

MAX_TURN_DEG = 60.0  # between the mean direction that a point was seen from and the camera's
RANGE_FACTOR = 2.0  # how much nearer or farther than it was ever seen a point may be


@dataclass(frozen=True, eq=False)
class VisiblePoints:
    """Rows (V,) of the points, and where (V, 2) in the camera's undistorted image they are expected."""

    rows: NDArray[np.intp]
    pixels: Float


def visible_points(
    points: Points, place: int, camera: RigCamera, map_from_rig: Float, margin_px: float = 0.0
) -> VisiblePoints:
    """The points of a place that are in front of the camera, in its image or at most `margin_px` beside it, and in a
    direction and at a distance that they have been seen from."""
    pose = camera.map_from_camera(map_from_rig)
    pixels, _ = camera.camera.project(apply(invert(pose), points.positions))
    size = np.array([camera.camera.width, camera.camera.height])
    inside = ((pixels >= -0.5 - margin_px) & (pixels <= size - 0.5 + margin_px)).all(axis=1)  # false where NaN
    rows = np.flatnonzero(inside & (points.places == place))
    towards = pose[:3, 3] - points.positions[rows]
    distances = np.linalg.norm(towards, axis=1)
    cosines = np.einsum("ij,ij->i", towards, points.directions[rows]) / np.maximum(distances, 1e-9)
    nearest, farthest = points.distances[rows].T
    seen = cosines >= np.cos(np.radians(MAX_TURN_DEG))
    seen &= (distances >= nearest / RANGE_FACTOR) & (distances <= farthest * RANGE_FACTOR)
    return VisiblePoints(rows[seen], pixels[rows[seen]])
