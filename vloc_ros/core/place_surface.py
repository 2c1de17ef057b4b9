"""The coloured surface of a place: coarse, but everywhere, where a map's points are few and chosen."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.arrays import require_finite
from vloc_ros.core.manifest import MAX_COORDINATE_M
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import invert

Float = NDArray[np.float64]

STEPS = 4  # of which a voxel's side has so many: finer than a point is known
MAX_POINTS = 1 << 22
LIMITS = np.array([0.1, 6.0, 0.03, 0.05])  # of `draw`: see there


@dataclass(frozen=True, eq=False)
class PlaceSurface:
    """N points of a place's surface, about one for each voxel of side `voxel_m` that it goes through.

    steps (N, 3) int16: where a point lies, in steps of a STEPS-th of `voxel_m` from `origin` (3,), metres in the frame
    of the place; colors (N, 3) uint8: RGB. `least_agreement`: the part of a query's cells, 0 to 1, that has to have the
    colours of the surface for a pose to be believed (`methods/surface_comparison.py`). Raises ConfigError.
    """

    steps: NDArray[np.int16]
    colors: NDArray[np.uint8]
    origin: Float
    voxel_m: float
    least_agreement: float = 0.0

    def __post_init__(self) -> None:
        n = len(self.steps)
        for name, dtype in (("steps", np.int16), ("colors", np.uint8)):
            array = getattr(self, name)
            require_finite(f"surface: {name}", array, (n, 3))
            if array.dtype != dtype:
                raise ConfigError(f"surface: {name} are {array.dtype}, expected {np.dtype(dtype)}")
        require_finite("surface: origin", self.origin, (3,))
        if not 0 < n <= MAX_POINTS:
            raise ConfigError(f"surface: it has {n} points, it can have 1 to {MAX_POINTS}")
        if not 0 < self.voxel_m < math.inf:  # not `<=`: NaN has to fail too
            raise ConfigError(f"surface: voxel_m is {self.voxel_m}, must be positive")
        if not 0 <= self.least_agreement <= 1:
            raise ConfigError(f"surface: least_agreement is {self.least_agreement}, must be in 0 .. 1")
        reach = np.abs(self.origin).max() + np.iinfo(np.int16).max * self.step_m
        if not reach < 2 * MAX_COORDINATE_M:
            raise ConfigError(f"surface: it reaches {reach:g} m from the map's origin")

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def step_m(self) -> float:
        return self.voxel_m / STEPS

    @property
    def positions(self) -> Float:
        """Of the points (N, 3), metres."""
        return self.origin + self.step_m * self.steps

    @cached_property
    def brightness(self) -> float:
        """The median of the points' largest channels, 1 to 255: the light in which the place was mapped."""
        return max(1.0, float(np.median(self.colors.max(axis=1))))

    @classmethod
    def of(cls, positions: Float, colors: NDArray[np.uint8], voxel_m: float) -> "PlaceSurface":
        """Of points (N, 3) in voxels of that size, in an order that makes a small file. Raises ConfigError for points
        that are too far apart (`fits`)."""
        if not fits(positions, voxel_m):
            size = np.ptp(positions, axis=0).max()
            raise ConfigError(f"surface: {size:.3g} m are too much for voxels of {voxel_m:g} m")
        origin = middle(positions)
        steps = np.rint((positions - origin) * STEPS / voxel_m)
        order = np.lexsort(steps.T)
        return cls(steps[order].astype(np.int16), np.ascontiguousarray(colors[order]), origin, voxel_m)

    def seen(self, camera: Camera, map_from_camera: Float) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """What a pinhole camera sees of it from a pose (4, 4): the mean colour of the points in front in each pixel
        (height, width, 3), 0 to 255, and how many (height, width) they are. Meant for pixels that are about as large as
        a voxel appears, or larger."""
        from vloc_ros.core.surface_kernels import draw  # Numba takes a while to load

        camera_from_map = invert(map_from_camera)
        rotation = camera_from_map[:3, :3]
        from_steps = np.column_stack([self.step_m * rotation, rotation @ self.origin + camera_from_map[:3, 3]])
        depths = np.full((camera.height, camera.width), np.inf, dtype=np.float32)
        sums = np.zeros((camera.height, camera.width, 3), dtype=np.float32)
        counts = np.zeros((camera.height, camera.width), dtype=np.int32)
        intrinsics = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
        draw(self.steps, self.colors, from_steps, intrinsics, self.voxel_m, LIMITS, depths, sums, counts)
        sums /= np.maximum(counts, 1)[..., None]
        return sums, counts


def middle(positions: Float) -> Float:
    """Of points (N, 3), in whole metres."""
    center: Float = np.round((positions.min(axis=0) + positions.max(axis=0)) / 2)
    return center


def fits(positions: Float, voxel_m: float) -> bool:
    """Whether points (N, 3), N at least 1, can be given in steps of such voxels: 400 m to either side for 5 cm."""
    return bool(np.abs(positions - middle(positions)).max() * STEPS / voxel_m < np.iinfo(np.int16).max)
