"""The pinhole camera with optional lens distortion. The centre of the top-left pixel is (0, 0)."""

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ConfigError

DISTORTION_SIZES = (0, 4, 5, 8)  # OpenCV's plumb bob (k1 k2 p1 p2 [k3]) and rational model


@dataclass(frozen=True)
class Camera:
    """Intrinsics in pixels of a width x height image; x right, y down, z forward.

    `distortion`: OpenCV coefficients (none, 4, 5 or 8). Raises ConfigError for values that no camera has.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        values = np.array([self.fx, self.fy, self.cx, self.cy, *self.distortion], dtype=np.float64)
        if self.width < 1 or self.height < 1:
            raise ConfigError(f"camera: image size {self.width}x{self.height} is empty")
        if not np.isfinite(values).all():
            raise ConfigError(f"camera: intrinsics {values.tolist()} are not all finite")
        if self.fx <= 0 or self.fy <= 0:
            raise ConfigError(f"camera: focal length fx={self.fx} fy={self.fy} must be positive (uncalibrated camera?)")
        if len(self.distortion) not in DISTORTION_SIZES:
            raise ConfigError(f"camera: {len(self.distortion)} distortion coefficients, known are {DISTORTION_SIZES}")

    @property
    def matrix(self) -> NDArray[np.float64]:
        """3x3 calibration matrix K."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def is_distorted(self) -> bool:
        return any(self.distortion)

    def resized(self, width: int, height: int) -> "Camera":
        """The camera of the image scaled to width x height. Pixel centres: x' + 0.5 = (x + 0.5) * scale."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
        )

    def undistorted(self) -> "Camera":
        """The same camera without its distortion."""
        return replace(self, distortion=())

    def undistort(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image as `undistorted()` would see it; the same array when there is no distortion."""
        if not self.is_distorted:
            return image
        return np.asarray(cv2.remap(image, *_undistortion(self), cv2.INTER_LINEAR), dtype=np.uint8)

    def project(self, points_camera: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels (N, 2) and depths (N,) of points (N, 3) in the camera frame, distortion not applied.

        Points at or behind the camera give NaN pixels.
        """
        points = np.asarray(points_camera, dtype=np.float64)
        depth = points[:, 2]
        safe = np.where(depth > 1e-6, depth, np.nan)
        pixels = np.stack([points[:, 0] / safe * self.fx + self.cx, points[:, 1] / safe * self.fy + self.cy], axis=1)
        return pixels, depth

    def rays(self) -> NDArray[np.float64]:
        """Per pixel the point at depth 1, (H, W, 3), distortion not applied."""
        u, v = np.meshgrid(np.arange(self.width), np.arange(self.height))
        return np.stack([(u - self.cx) / self.fx, (v - self.cy) / self.fy, np.ones(u.shape)], axis=-1)


@lru_cache(maxsize=4)  # a robot has few cameras, and making the maps takes longer than using them
def _undistortion(camera: Camera) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
    """cv2.remap's maps from the distorted to the undistorted image."""
    size = camera.width, camera.height
    coefficients = np.array(camera.distortion)
    first, second = cv2.initUndistortRectifyMap(
        camera.matrix, coefficients, np.eye(3), camera.matrix, size, cv2.CV_16SC2
    )
    return np.asarray(first, dtype=np.int16), np.asarray(second, dtype=np.uint16)
