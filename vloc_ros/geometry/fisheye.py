"""The fisheye lens: ROS's `equidistant`, OpenCV's `fisheye`, COLMAP's OPENCV_FISHEYE (Kannala and Brandt, 2006)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import FISHEYE, Camera

Float = NDArray[np.float64]

# Angles at which the lens is looked at: it has to spread them over the image in their order.
ANGLES = np.linspace(0, np.pi, 721)
NEWTON_STEPS = 4  # from a table of these to 1e-12


@dataclass(frozen=True)
class FisheyeCamera(Camera):
    """A lens that maps the angle t from the optical axis to the distance t (1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8) from
    the principal point, in focal lengths.

    `distortion` is k1 to k4, or nothing for zeros: such a lens bends rays even so. Its undistorted image is that of a
    pinhole camera of the same focal length, principal point and size: what is near the axis keeps its size, and what is
    more than atan(width / (2 fx)) aside is cut off. Raises ConfigError for values that no such lens has.
    """

    DISTORTION_SIZES: ClassVar[tuple[int, ...]] = (0, 4)
    lens_model: ClassVar[str] = FISHEYE

    def __post_init__(self) -> None:
        super().__post_init__()
        if self._widest_angle() < np.arctan(self._farthest()):
            angle = np.degrees(self._widest_angle())
            raise ConfigError(
                f"camera: fisheye coefficients {list(self.distortion)} make the image fold over {angle:.3g} deg from "
                "its axis: are they those of another lens model?"
            )

    @property
    def is_distorted(self) -> bool:
        return True

    def project_through_lens(self, points_camera: NDArray[np.floating]) -> Float:
        points = np.asarray(points_camera, dtype=np.float64)
        aside = np.linalg.norm(points[:, :2], axis=1)
        angles = np.arctan2(aside, points[:, 2])
        bent = self._bent(angles) / np.maximum(aside, 1e-12)
        pixels: Float = points[:, :2] * bent[:, None] * (self.fx, self.fy) + (self.cx, self.cy)
        return pixels

    def undistort_pixels(self, pixels: Float, into: Camera) -> Float:
        criteria = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 50, 1e-12)
        found = cv2.fisheye.undistortPoints(
            pixels.reshape(-1, 1, 2), self.matrix, self._coefficients, P=into.matrix, criteria=criteria
        )
        return np.asarray(found.reshape(-1, 2), dtype=np.float64)

    def directions(self, pixels: Float) -> Float:
        """Unit rays (N, 3) of pixels (N, 2) of the image as it is, which may be beside or behind the camera; NaN of
        what is farther from the principal point than any ray that the lens maps there."""
        aside = (pixels - (self.cx, self.cy)) / (self.fx, self.fy)
        distances = np.linalg.norm(aside, axis=1)
        angles = self._angles(distances)
        sines = np.sin(angles) / np.maximum(distances, 1e-12)
        rays: Float = np.column_stack([aside * sines[:, None], np.cos(angles)])
        return rays

    def _angles(self, distances: Float) -> Float:
        """The inverse of `_bent`; NaN beyond its range."""
        widest = self._widest_angle()
        table = ANGLES[widest + 1e-9 >= ANGLES]
        angles = np.interp(distances, self._bent(table), table, right=np.nan)
        powers = np.array([1.0, 3.0, 5.0, 7.0, 9.0]) * [1.0, *self._coefficients]
        for _ in range(NEWTON_STEPS):
            slopes = np.polyval(powers[::-1], angles**2)
            angles = angles - (self._bent(angles) - distances) / np.maximum(slopes, 1e-3)
        return angles

    def undistortion_maps(self, kind: int) -> tuple[NDArray[Any], NDArray[Any]]:
        size = self.width, self.height
        first, second = cv2.fisheye.initUndistortRectifyMap(
            self.matrix, self._coefficients, np.eye(3), self.matrix, size, kind
        )
        return np.asarray(first), np.asarray(second)

    @property
    def _coefficients(self) -> Float:
        return np.array(self.distortion or (0.0,) * 4)

    def _bent(self, angles: Float) -> Float:
        """Distances from the principal point, in focal lengths, of rays at these angles from the axis."""
        squares = angles**2
        bent: Float = angles * np.polyval([*self._coefficients[::-1], 1.0], squares)
        return bent

    def _widest_angle(self) -> float:
        """Up to where, in radians, a larger angle is farther from the principal point."""
        falls = np.flatnonzero(np.diff(self._bent(ANGLES)) <= 0)
        return float(ANGLES[falls[0]]) if len(falls) else float(ANGLES[-1])

    def _farthest(self) -> float:
        """Of the undistorted image's corners from the principal point, in focal lengths."""
        x = max(self.cx, self.width - 1 - self.cx) / self.fx
        y = max(self.cy, self.height - 1 - self.cy) / self.fy
        return float(np.hypot(x, y))
