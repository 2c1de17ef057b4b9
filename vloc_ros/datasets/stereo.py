"""Depth of a stereo pair, where there is no depth camera: rectification, and semi-global matching by OpenCV."""

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import Matrix, invert

LEAST_BASELINE_M = 0.005
NEAREST_M = 0.4  # depth that is looked for
LEAST_DISPARITY = 3.0  # pixels: with less, depth is too uncertain
MAX_DISPARITIES = 256
BLOCK = 5  # pixels that are compared, each way
SMOOTHNESS = 8 * BLOCK**2, 32 * BLOCK**2  # OpenCV's P1 and P2, of grey images
UNIQUENESS = 10  # per cent that the best match must be better than the second
CONSISTENT_PX = 1.0  # how far left-to-right and right-to-left matches may differ
SPECKLE = 80, 2  # pixels of a region of its own that is too small, and its range of disparities
SUBPIXELS = 16  # in an integer disparity of OpenCV

Grey = NDArray[np.uint8]
Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class StereoPair:
    """Two cameras whose images are taken at once; `right_from_left` (4, 4), metres. Raises ConfigError for cameras at
    one place, or that look apart."""

    left: Camera
    right: Camera
    right_from_left: Matrix

    def __post_init__(self) -> None:
        if not self.baseline_m >= LEAST_BASELINE_M:
            raise ConfigError(f"stereo: the cameras are {1000 * self.baseline_m:.3g} mm apart, are they the same?")
        if self._right_position[2] ** 2 > 0.5 * self.baseline_m**2:
            raise ConfigError("stereo: one camera is in front of the other, not beside it")
        if self.right_from_left[2, 2] < 0.5:
            raise ConfigError("stereo: the cameras look in different directions")

    @property
    def _right_position(self) -> Matrix:
        """Of the right camera, in the left one's axes."""
        position: Matrix = invert(self.right_from_left)[:3, 3]
        return position

    @property
    def baseline_m(self) -> float:
        return float(np.linalg.norm(self._right_position))

    @cached_property
    def rectified_from_left(self) -> Matrix:
        """Rotation (3, 3) of the rectified cameras: x along the baseline, z as near as can be to where both look."""
        x = self._right_position / self.baseline_m
        ahead = np.array([0.0, 0.0, 1.0]) + self.right_from_left[2, :3]
        y = np.cross(ahead, x)
        y /= np.linalg.norm(y)
        return np.stack([x, y, np.cross(x, y)])

    @cached_property
    def rectified(self) -> Camera:
        """The pinhole camera of both rectified images, as large and as long as the left one."""
        left, focal = self.left, math.sqrt(self.left.fx * self.left.fy)
        return Camera(left.width, left.height, focal, focal, (left.width - 1) / 2, (left.height - 1) / 2)

    @cached_property
    def _maps(self) -> tuple[tuple[Float32, Float32], tuple[Float32, Float32]]:
        """cv2.remap's maps from both images as they are to the rectified ones."""
        rays = self.rectified.rays().reshape(-1, 3) @ self.rectified_from_left  # in the left camera's axes
        shape = self.left.height, self.left.width
        left = _columns(self.left.project_through_lens(rays), shape)
        return left, _columns(self.right.project_through_lens(rays @ self.right_from_left[:3, :3].T), shape)

    @cached_property
    def _back(self) -> tuple[Float32, Float32, Float32]:
        """Maps from the rectified left image to the left one as it is, and what depth is multiplied by there."""
        left, plain = self.left, self.left.undistorted()
        pixels = np.stack(np.meshgrid(np.arange(float(left.width)), np.arange(float(left.height))), -1).reshape(-1, 2)
        seen = left.undistort_pixels(pixels, plain) if left.is_distorted else pixels
        rays = np.column_stack([(seen - (plain.cx, plain.cy)) / (plain.fx, plain.fy), np.ones(len(seen))])
        turned = rays @ self.rectified_from_left.T
        where, depth = self.rectified.project(turned)
        x, y = _columns(np.nan_to_num(where, nan=-1.0), (left.height, left.width))
        scale = np.divide(1.0, depth, out=np.zeros_like(depth), where=depth > 0.1)
        return x, y, scale.astype(np.float32).reshape(left.height, left.width)

    def depth(self, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Float32:
        """Depth (H, W) along z of the left camera, in its image as it is (with its lens), from the two RGB images:
        metres, 0 where none is certain. The right image may be of another size than the left."""
        (left_x, left_y), (right_x, right_y) = self._maps
        grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (left, right)]
        seen = cv2.remap(grey[0], left_x, left_y, cv2.INTER_LINEAR)
        other = cv2.remap(grey[1], right_x, right_y, cv2.INTER_LINEAR)
        disparity = consistent_disparity(np.asarray(seen, np.uint8), np.asarray(other, np.uint8), self._disparities)
        reach = self.rectified.fx * self.baseline_m
        depth = np.divide(reach, disparity, out=np.zeros_like(disparity), where=disparity >= LEAST_DISPARITY)
        x, y, scale = self._back
        lifted = cv2.remap(depth, x, y, cv2.INTER_NEAREST, borderValue=0.0)
        return np.asarray(lifted * scale, dtype=np.float32)

    @property
    def _disparities(self) -> int:
        """How many are looked for, a multiple of 16."""
        most = min(self.rectified.fx * self.baseline_m / NEAREST_M, MAX_DISPARITIES, self.left.width / 2)
        return 16 * max(1, math.ceil(most / 16))


def consistent_disparity(left: Grey, right: Grey, count: int) -> Float32:
    """Disparities (H, W) in pixels of the left of two rectified images, 0 where none is certain: what is matched from
    the left must be matched back from the right. Up to `count`, a multiple of 16."""
    to_right = _disparity(left, right, count)
    to_left = _disparity(np.ascontiguousarray(right[:, ::-1]), np.ascontiguousarray(left[:, ::-1]), count)[:, ::-1]
    columns = np.arange(left.shape[1])[None, :] - np.round(to_right).astype(int)
    back = np.take_along_axis(to_left, np.clip(columns, 0, None), axis=1)
    is_consistent = (to_right > 0) & (columns >= 0) & (np.abs(back - to_right) <= CONSISTENT_PX)
    return np.where(is_consistent, to_right, np.float32(0))


def _disparity(left: Grey, right: Grey, count: int) -> Float32:
    # A border as wide as the disparities, without which nothing is found in the left part of the image.
    padded = [cv2.copyMakeBorder(image, 0, 0, count, 0, cv2.BORDER_REPLICATE) for image in (left, right)]
    matcher = cv2.StereoSGBM.create(
        0, count, BLOCK, *SMOOTHNESS, -1, 0, UNIQUENESS, *SPECKLE, cv2.STEREO_SGBM_MODE_SGBM_3WAY
    )
    found = matcher.compute(*padded)[:, count:].astype(np.float32) / SUBPIXELS
    return np.asarray(np.maximum(found, np.float32(0)), dtype=np.float32)


def _columns(pixels: NDArray[np.float64], shape: tuple[int, int]) -> tuple[Float32, Float32]:
    x, y = pixels.astype(np.float32).T.reshape(2, *shape)
    return np.ascontiguousarray(x), np.ascontiguousarray(y)
