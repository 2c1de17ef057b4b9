"""The pinhole camera with optional lens distortion. The centre of the top-left pixel is (0, 0)."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ConfigError

# OpenCV's plumb bob (k1 k2 p1 p2 [k3]) and rational model (k4 k5 k6), with thin prism (s1..s4) and tilt (tx ty)
DISTORTION_SIZES = (0, 4, 5, 8, 12, 14)

# How far a principal point may be from the image's centre, as a share of the image's size: at most the first in either
# direction, and in one of them at most the second. Lenses are off by a few per cent, a picture that was cropped at the
# top or at the bottom by more, but in that direction only; a calibration of another resolution is off in both: of half,
# 3/4, 4/3 or twice the size by 1/4, 1/8, 1/6 or 1/2.
MAX_OFF_CENTRE, MAX_OFF_CENTRE_IN_BOTH = 0.3, 0.1
# A camera's modes often share their width or their height. A principal point that is the centre of such a mode, and not
# the image's, is that of the other mode, or of an image whose right or lower part was cut off: nobody can tell.
MODES = np.array([
    (320, 180), (320, 240), (424, 240), (480, 270), (640, 360), (640, 400), (640, 480), (752, 480), (800, 600),
    (848, 480), (960, 540), (1024, 768), (1280, 720), (1280, 800), (1280, 960), (1280, 1024), (1600, 1200),
    (1920, 1080), (1920, 1200),
])  # fmt: skip
SAME_MODE, OTHER_MODE = 0.025, 0.06  # of a size, how far it may be off, and must be
PINHOLE, FISHEYE = LENS_MODELS = ("pinhole", "fisheye")  # a pinhole camera may be distorted
SAY_CROPPED = "if it is cropped, say so: a region of interest in camera_info, the word cropped after other cameras"
UNDISTORTED_WELL = cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 100, 1e-9  # pixels
SAME_FACTOR = 1.15  # of two factors between resolutions


@dataclass(frozen=True)
class Camera:
    """Intrinsics in pixels of a width x height image; x right, y down, z forward.

    `distortion`: OpenCV coefficients (none, 4, 5, 8, 12 or 14); a fisheye lens is a `FisheyeCamera`. `cropped`: the
    image is a part of a larger one, so that the principal point may lie anywhere. Raises ConfigError for values that no
    camera has.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    cropped: bool = False

    DISTORTION_SIZES: ClassVar[tuple[int, ...]] = DISTORTION_SIZES
    lens_model: ClassVar[str] = PINHOLE  # one of LENS_MODELS

    def __post_init__(self) -> None:
        values = np.array([self.fx, self.fy, self.cx, self.cy, *self.distortion], dtype=np.float64)
        if self.width < 1 or self.height < 1:
            raise ConfigError(f"camera: image size {self.width}x{self.height} is empty")
        if not np.isfinite(values).all():
            raise ConfigError(f"camera: intrinsics {values.tolist()} are not all finite")
        if self.fx <= 0 or self.fy <= 0:
            raise ConfigError(f"camera: focal length fx={self.fx} fy={self.fy} must be positive (uncalibrated camera?)")
        if len(self.distortion) not in self.DISTORTION_SIZES:
            known = self.DISTORTION_SIZES
            raise ConfigError(f"camera: {len(self.distortion)} distortion coefficients, known are {known}")
        if not self.cropped:
            self._require_centred()

    @property
    def matrix(self) -> NDArray[np.float64]:
        """3x3 calibration matrix K."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def is_distorted(self) -> bool:
        return any(self.distortion)

    @property
    def field_of_view_deg(self) -> float:
        """Horizontal, of the undistorted image."""
        return math.degrees(2 * math.atan(self.width / (2 * self.fx)))

    def window(self, x: int, y: int, width: int, height: int) -> "Camera":
        """The camera of the part of the image whose top-left pixel is (x, y). Raises ConfigError for one that is not
        inside."""
        if (x, y, width, height) == (0, 0, self.width, self.height):
            return self
        if min(x, y) < 0 or x + width > self.width or y + height > self.height:
            raise ConfigError(
                f"camera: the region {width}x{height} at ({x}, {y}) is not inside the {self.width}x{self.height} image"
            )
        return replace(self, width=width, height=height, cx=self.cx - x, cy=self.cy - y, cropped=True)

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
        """The pinhole camera of the undistorted image: the same without distortion."""
        return Camera(self.width, self.height, self.fx, self.fy, self.cx, self.cy, cropped=self.cropped)

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

    def project_through_lens(self, points_camera: NDArray[np.floating]) -> NDArray[np.float64]:
        """Pixels (N, 2) of points (N, 3) in the camera frame, in front of the camera, in the image as it is."""
        points = np.asarray(points_camera, dtype=np.float64)
        pixels, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), self.matrix, np.array(self.distortion))
        return np.asarray(pixels.reshape(-1, 2), dtype=np.float64)

    def undistort_pixels(self, pixels: NDArray[np.float64], into: "Camera") -> NDArray[np.float64]:
        """Where pixels (N, 2) of the image as it is are in that of `into`, a pinhole camera at the same place."""
        # undistortPoints ends after five iterations: 0.1 px off for a Kinect's lens, 2 px for one with eight numbers.
        found = cv2.undistortPointsIter(
            pixels.reshape(-1, 1, 2), self.matrix, np.array(self.distortion), np.eye(3), into.matrix, UNDISTORTED_WELL
        )
        return np.asarray(found.reshape(-1, 2), dtype=np.float64)

    def undistortion_maps(self, kind: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """cv2.remap's maps, of OpenCV's `kind`, from the image as it is to the undistorted one."""
        size, coefficients = (self.width, self.height), np.array(self.distortion)
        first, second = cv2.initUndistortRectifyMap(self.matrix, coefficients, np.eye(3), self.matrix, size, kind)
        return np.asarray(first), np.asarray(second)

    def rays(self) -> NDArray[np.float64]:
        """Per pixel the point at depth 1, (H, W, 3), distortion not applied."""
        u, v = np.meshgrid(np.arange(self.width), np.arange(self.height))
        return np.stack([(u - self.cx) / self.fx, (v - self.cy) / self.fy, np.ones(u.shape)], axis=-1)

    def _require_centred(self) -> None:
        """Raise ConfigError for a principal point that is not well inside the image, with a guess why."""
        size = np.array([self.width, self.height])
        centred_size = 2 * np.array([self.cx, self.cy]) + 1  # of the image that it would be the centre of
        off = np.abs(centred_size / size - 1) / 2
        if off.max() > MAX_OFF_CENTRE or off.min() > MAX_OFF_CENTRE_IN_BOTH or _is_of_other_mode(centred_size, size):
            raise ConfigError(
                f"camera: principal point ({self.cx:.6g}, {self.cy:.6g}) is not well inside the "
                f"{self.width}x{self.height} image: {self._guess(centred_size, centred_size / size)}"
            )

    def _guess(self, centred_size: NDArray[np.float64], factors: NDArray[np.float64]) -> str:
        """Why the principal point is where it is."""
        if self.cx > 0 and self.cy > 0 and max(self.cx, self.cy) <= 1:
            return "is it normalised to 0..1? pixels are needed"
        if factors.min() > 1 or 0 < factors.min() <= factors.max() < 1:
            width, height = centred_size
            alike = factors.max() < SAME_FACTOR * factors.min()
            times = f", {factors.mean():.2g} times as large" if alike else ""
            return f"is it the calibration of another resolution, {width:.6g}x{height:.6g}{times}?"
        if _is_of_other_mode(centred_size, np.array([self.width, self.height])):
            return f"is it the calibration of {centred_size[0]:.4g}x{centred_size[1]:.4g}? {SAY_CROPPED}"
        return f"is it the calibration of another image, or is this one cropped? {SAY_CROPPED}"


def _is_of_other_mode(centred_size: NDArray[np.float64], size: NDArray[np.int_]) -> bool:
    """Whether the principal point is not the image's centre, but that of a usual mode as wide or as high."""
    if np.abs(centred_size / size - 1).max() < OTHER_MODE:
        return False
    near = np.abs(centred_size / MODES - 1).max(axis=1) < SAME_MODE
    return bool((near & (size == MODES).any(axis=1)).any())


@lru_cache(maxsize=4)  # a robot has few cameras, and making the maps takes longer than using them
def _undistortion(camera: Camera) -> tuple[NDArray[Any], NDArray[Any]]:
    return camera.undistortion_maps(cv2.CV_16SC2)
