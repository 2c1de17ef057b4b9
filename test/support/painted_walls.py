"""A wall with or without a poster: its surface as a map has it, and what a camera sees of it."""

from dataclasses import dataclass

import numpy as np

from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.core.types import CameraImage
from vloc_ros.geometry.camera import Camera

CAMERA = Camera(320, 240, 260.0, 260.0, 159.5, 119.5)
DISTANCE, VOXEL = 2.5, 0.05  # metres: of the wall from the camera at HERE
HERE = np.eye(4)
WALL, FLOOR, FRAME = (190, 180, 160), (110, 80, 60), (60, 60, 70)


@dataclass(frozen=True)
class Painting:
    """What hangs on the wall, 0.8 m x 0.6 m, and the light."""

    poster: tuple[int, int, int] | None
    light: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def colors(self, points: np.ndarray) -> np.ndarray:
        """RGB (N, 3) of points (N, 2) of the wall: x to the right, y down, metres."""
        x, y = points.T
        found = np.where((y > 0.7)[:, None], FLOOR, WALL).astype(float)
        found[(np.abs(x - 1.2) < 0.05) & (y < 0.7)] = FRAME
        if self.poster is not None:
            found[(np.abs(x) < 0.4) & (np.abs(y) < 0.3)] = self.poster
        return np.clip(found * self.light, 0, 255)


PLAIN, POSTER, OTHER_POSTER = Painting(None), Painting((60, 90, 180)), Painting((180, 120, 50))


def painted_surface(painting: Painting) -> PlaceSurface:
    """Of 8 m x 5 m."""
    across, down = np.meshgrid(np.arange(-4, 4, VOXEL), np.arange(-2.5, 2.5, VOXEL))
    points = np.column_stack([across.ravel(), down.ravel()])
    positions = np.column_stack([points, np.full(len(points), DISTANCE)])
    return PlaceSurface.of(positions, painting.colors(points).astype(np.uint8), VOXEL)


def tiles() -> CameraImage:
    """An image of what is nowhere on the wall."""
    colors = np.random.default_rng(0).integers(0, 240, (24, 32, 3), dtype=np.uint8)
    return CameraImage(colors.repeat(10, axis=0).repeat(10, axis=1), CAMERA)


def painted_image(painting: Painting, pose: np.ndarray = HERE, camera: Camera = CAMERA) -> CameraImage:
    """What a camera sees of the wall, with some noise."""
    plain = camera.undistorted()
    grid = np.stack(np.meshgrid(np.arange(float(camera.width)), np.arange(float(camera.height))), -1).reshape(-1, 2)
    seen = camera.undistort_pixels(grid, plain) if camera.is_distorted else grid
    rays = np.column_stack([(seen - (plain.cx, plain.cy)) / (plain.fx, plain.fy), np.ones(len(seen))])
    turned, origin = rays @ pose[:3, :3].T, pose[:3, 3]
    points = origin + turned * ((DISTANCE - origin[2]) / turned[:, 2])[:, None]
    noise = np.random.default_rng(0).normal(0, 4, (len(points), 3))
    rgb = np.clip(painting.colors(points[:, :2]) + noise, 0, 255)
    return CameraImage(rgb.astype(np.uint8).reshape(camera.height, camera.width, 3), camera)
