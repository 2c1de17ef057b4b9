"""An image of a wide lens as several pinhole views side by side, which together see what it sees."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.camera import FISHEYE, Camera
from vloc_ros.geometry.fisheye import FisheyeCamera
from vloc_ros.geometry.transforms import Matrix

WIDE_DEG = 100.0  # across the image: one pinhole view of more has stretched corners, and loses what is aside
VIEW_DEG = 90.0  # across a view

Maps = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class ViewCamera(Camera):
    """That of a pinhole view: what its image shows was seen through a fisheye lens."""

    lens_model: ClassVar[str] = FISHEYE


@dataclass(frozen=True, eq=False)
class PinholeView:
    """A pinhole `camera` at the place of the wide one, turned: `wide_from_view` (4, 4)."""

    wide: FisheyeCamera
    camera: Camera
    wide_from_view: Matrix

    @cached_property
    def _rays(self) -> Matrix:
        """(H W, 3) of the view's pixels at depth 1, in the wide camera's axes."""
        rays: Matrix = self.camera.rays().reshape(-1, 3) @ self.wide_from_view[:3, :3].T
        return rays

    @cached_property
    def _maps(self) -> Maps:
        """cv2.remap's, from the wide image to the view."""
        pixels = self.wide.project_through_lens(self._rays).astype(np.float32)
        x, y = pixels.T.reshape(2, self.camera.height, self.camera.width)
        return np.ascontiguousarray(x), np.ascontiguousarray(y)

    def image(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What the view sees of the wide image."""
        return np.asarray(cv2.remap(rgb, *self._maps, cv2.INTER_LINEAR), dtype=np.uint8)

    def depth(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Depth along the view's axis of depth (H, W) along the wide camera's; 0 where that is unknown."""
        seen = cv2.remap(depth, *self._maps, cv2.INTER_NEAREST, borderValue=0.0)
        along = self._rays[:, 2].reshape(seen.shape)  # of a point at depth 1 in the view
        turned = np.divide(seen, along, out=np.zeros_like(along), where=along > 0.05)
        return np.asarray(turned, dtype=np.float32)


@lru_cache(maxsize=8)  # a robot has few cameras
def pinhole_views(camera: Camera) -> tuple[PinholeView, ...]:
    """The views that images of a wide camera are worked on as; none of a camera whose undistorted image will do."""
    if not isinstance(camera, FisheyeCamera) or (across := sum(field_of_view_deg(camera)[:2])) <= WIDE_DEG:
        return ()
    return side_by_side(camera, max(2, math.ceil(across / VIEW_DEG - 0.05)))


def working_camera(camera: Camera) -> Camera:
    """The camera whose images are worked on, before its lens is undone: its own, or that of its views."""
    views = pinhole_views(camera)
    return views[0].camera if views else camera


def side_by_side(wide: FisheyeCamera, count: int, view_deg: float = VIEW_DEG) -> tuple[PinholeView, ...]:
    """So many views, the outer ones at the edges of the image, all of the wide image's aspect ratio, as networks expect
    it, and of its resolution at its centre. What is far above and below is in none: with it, poses are less accurate
    (docs/datasets.md)."""
    left, right, _, _ = field_of_view_deg(wide)
    width = 4 * round(2 * wide.fx * math.tan(math.radians(view_deg / 2)) / 4)
    height = 4 * round(width * wide.height / wide.width / 4)
    camera = ViewCamera(width, height, wide.fx, wide.fy, (width - 1) / 2, (height - 1) / 2)
    yaws = np.linspace(-left + view_deg / 2, right - view_deg / 2, count) if count > 1 else [(right - left) / 2]
    return tuple(PinholeView(wide, camera, turned(float(yaw))) for yaw in yaws)


def field_of_view_deg(wide: FisheyeCamera) -> tuple[float, float, float, float]:
    """Degrees from the axis to the image's left, right, upper and lower edge; 180 where no ray gets that far."""
    ends = np.array([
        [-0.5, wide.cy], [wide.width - 0.5, wide.cy], [wide.cx, -0.5], [wide.cx, wide.height - 0.5]
    ])  # fmt: skip
    cosines = wide.directions(ends)[:, 2]
    left, right, upper, lower = np.nan_to_num(np.degrees(np.arccos(np.clip(cosines, -1, 1))), nan=180.0).tolist()
    return left, right, upper, lower


def turned(yaw_deg: float) -> Matrix:
    """A rotation (4, 4) to the right, about the camera's y axis."""
    sine, cosine = math.sin(math.radians(yaw_deg)), math.cos(math.radians(yaw_deg))
    return np.array([[cosine, 0, sine, 0], [0, 1, 0, 0], [-sine, 0, cosine, 0], [0, 0, 0, 1.0]])
