"""Registration of a depth image to another camera, the colour camera of the same rig."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import Matrix


@compiled()
def _splat(
    depth: NDArray[np.float32], pixels_from_rays: Matrix, offset: Matrix, registered: NDArray[np.float32]
) -> None:
    """Move every known depth z at (u, v) to the pixel (x / w, y / w) of `registered`, nearest wins, where
    (x, y, w) = z pixels_from_rays (u, v, 1) + offset; w is the depth there."""
    m, o = pixels_from_rays, offset
    height, width = registered.shape
    for v in range(depth.shape[0]):
        row_x, row_y, row_w = m[0, 1] * v + m[0, 2], m[1, 1] * v + m[1, 2], m[2, 1] * v + m[2, 2]
        for u in range(depth.shape[1]):
            z = depth[v, u]
            w = z * (m[2, 0] * u + row_w) + o[2]
            if z <= 0 or w <= 0:
                continue
            scale = 1.0 / w
            x = (z * (m[0, 0] * u + row_x) + o[0]) * scale + 0.5
            y = (z * (m[1, 0] * u + row_y) + o[1]) * scale + 0.5
            if x < 0 or x >= width or y < 0 or y >= height:
                continue
            i, j = int(y), int(x)
            if registered[i, j] == 0 or w < registered[i, j]:
                registered[i, j] = w


def register_depth(
    depth: NDArray[np.float32], depth_camera: Camera, colour_camera: Camera, colour_from_depth: Matrix
) -> NDArray[np.float32]:
    """Depth (H, W) of `depth_camera` as `colour_camera` sees it: float32 of that camera's size, metres, 0 = unknown.
    Both images are as they are, with their lenses' distortion.

    Every depth goes to the pixel nearest to its projection. That closes surfaces only where the colour camera resolves
    no more than the depth camera (focal length not longer), as in a Kinect: coarser depth images are enlarged before.
    """
    depth, depth_camera = _as_fine(undistort_depth(depth_camera, depth), depth_camera.undistorted(), colour_camera)
    registered = np.zeros((colour_camera.height, colour_camera.width), np.float32)
    pixels_from_rays = colour_camera.matrix @ colour_from_depth[:3, :3] @ np.linalg.inv(depth_camera.matrix)
    _splat(depth, pixels_from_rays, colour_camera.matrix @ colour_from_depth[:3, 3], registered)
    return _through_lens(colour_camera, registered)


def _as_fine(depth: NDArray[np.float32], camera: Camera, other: Camera) -> tuple[NDArray[np.float32], Camera]:
    """The depth and its camera, each pixel repeated until it is no wider than the other camera's."""
    times = max(1, round(float(np.ceil(other.fx / camera.fx - 0.1))))
    repeated = np.repeat(np.repeat(depth, times, axis=0), times, axis=1) if times > 1 else depth
    return repeated, camera.resized(camera.width * times, camera.height * times)


def _through_lens(camera: Camera, depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of `undistort_depth`."""
    if not camera.is_distorted:
        return depth
    maps = _lens_maps(camera)
    return np.asarray(cv2.remap(depth, *maps, cv2.INTER_NEAREST, borderValue=0.0), dtype=np.float32)


@lru_cache(maxsize=2)
def _lens_maps(camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    pixels = np.stack(np.meshgrid(np.arange(float(camera.width)), np.arange(float(camera.height))), axis=-1)
    there = camera.undistort_pixels(pixels.reshape(-1, 2), camera.undistorted()).astype(np.float32)
    x, y = there.T.reshape(2, camera.height, camera.width)
    return np.ascontiguousarray(x), np.ascontiguousarray(y)


def undistort_depth(camera: Camera, depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """The depth image as `camera.undistorted()` would see it: nearest samples, never averaged; 0 stays unknown."""
    if not camera.is_distorted:
        return depth
    maps = camera.undistortion_maps(cv2.CV_32FC1)
    return np.asarray(cv2.remap(depth, *maps, cv2.INTER_NEAREST, borderValue=0.0), dtype=np.float32)
