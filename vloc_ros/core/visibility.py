"""Which points of a map a camera can see from a pose, or from one that is not known well."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.points import Float, Points
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.rig import RigCamera

MAX_TURN_RAD = float(np.radians(60))  # between the mean direction that a point was seen from and the camera's
RANGE_FACTOR = 1.6  # how much nearer or farther than it was ever seen a point may be
LIMITS = np.array([np.cos(MAX_TURN_RAD), np.sin(MAX_TURN_RAD), RANGE_FACTOR])


@dataclass(frozen=True)
class Uncertainty:
    """How far a rig may be from where it is thought to be, and be turned."""

    metres: float = 0.0
    radians: float = 0.0

    def at(self, camera: RigCamera) -> "Uncertainty":
        """That of a camera on the rig: a turn of the rig moves it."""
        lever = float(np.linalg.norm(camera.rig_from_camera[:3, 3]))
        return Uncertainty(self.metres + self.radians * lever, self.radians)


CERTAIN = Uncertainty()


def visible_points(
    points: Points, place: int, camera: RigCamera, map_from_rig: Float, uncertainty: Uncertainty = CERTAIN
) -> NDArray[np.intp]:
    """Rows of the points of a place that lie in the camera's view, in a direction and at a distance that they have been
    seen from, if the rig is no farther off than it may be."""
    from vloc_ros.core.visibility_kernels import keep_visible  # Numba takes a while to load

    off, pose = uncertainty.at(camera), camera.map_from_camera(map_from_rig)
    rows = points.rows_of(place)
    kept = np.empty_like(rows)
    count = keep_visible(
        rows,
        points.positions,
        points.directions,
        points.distances,
        np.ascontiguousarray(pose[:3, 3]),
        np.ascontiguousarray(_inward_normals(camera.camera) @ pose[:3, :3].T),
        np.array([off.metres, off.radians]),
        LIMITS,
        kept,
    )
    visible: NDArray[np.intp] = kept[:count]
    return visible


def _inward_normals(camera: Camera) -> Float:
    """Unit normals (4, 3) of the planes through the camera and its image's borders; what is in view is on the positive
    side of all of them."""
    left, right = camera.cx + 0.5, camera.width - 0.5 - camera.cx
    top, bottom = camera.cy + 0.5, camera.height - 0.5 - camera.cy
    normals = np.array(
        [[camera.fx, 0.0, left], [-camera.fx, 0.0, right], [0.0, camera.fy, top], [0.0, -camera.fy, bottom]]
    )
    unit: Float = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    return unit
