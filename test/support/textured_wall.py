"""A wall with a fine pattern, as any camera sees it: image and exact depth without rendering a room."""

import cv2
import numpy as np

from vloc_ros.geometry.camera import Camera

PIXELS_PER_M = 150.0
SIZE_M = 12.0  # of the pattern, around the map's z axis


def pattern() -> np.ndarray:
    size = int(SIZE_M * PIXELS_PER_M)
    noise = np.random.default_rng(3).integers(0, 255, (size, size), dtype=np.uint8)
    coarse = cv2.GaussianBlur(noise, (0, 0), 7.0).astype(np.float32)
    spread = (coarse - coarse.mean()) / coarse.std()
    return np.asarray(np.clip(128 + 45 * spread, 0, 255), dtype=np.uint8)


PATTERN = pattern()
NORMAL, DISTANCE = np.array([0.15, -0.1, 1.0]), 2.5  # the plane NORMAL . point = DISTANCE, in the map


def wall_view(camera: Camera, map_from_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """RGB (H, W, 3), and depth (H, W) in metres, 0 where the wall is not, in the camera's image as it is."""
    grid = np.stack(np.meshgrid(np.arange(float(camera.width)), np.arange(float(camera.height))), -1).reshape(-1, 2)
    plain = camera.undistorted()
    seen = camera.undistort_pixels(grid, plain) if camera.is_distorted else grid
    rays = np.column_stack([(seen - (plain.cx, plain.cy)) / (plain.fx, plain.fy), np.ones(len(seen))])
    turned, origin = rays @ map_from_camera[:3, :3].T, map_from_camera[:3, 3]
    slopes = turned @ NORMAL
    depth = np.where(slopes > 0.2, (DISTANCE - origin @ NORMAL) / np.maximum(slopes, 0.2), 0.0)
    points = origin + turned * depth[:, None]
    where = ((points[:, :2] + SIZE_M / 2) * PIXELS_PER_M).astype(np.float32).reshape(camera.height, camera.width, 2)
    grey = cv2.remap(PATTERN, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderValue=0.0)
    depth = np.where(np.abs(points[:, :2]).max(axis=1) < SIZE_M / 2, depth, 0.0)
    return np.repeat(grey[..., None], 3, axis=2), depth.reshape(camera.height, camera.width).astype(np.float32)
