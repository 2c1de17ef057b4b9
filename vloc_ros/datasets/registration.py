"""Registration of a depth image to another camera, the colour camera of the same rig."""

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

    Every depth goes to the pixel nearest to its projection. That closes surfaces only when the colour camera resolves
    no more than the depth camera (focal length not longer), as in a Kinect; distortion is not applied.
    """
    registered = np.zeros((colour_camera.height, colour_camera.width), np.float32)
    pixels_from_rays = colour_camera.matrix @ colour_from_depth[:3, :3] @ np.linalg.inv(depth_camera.matrix)
    _splat(depth, pixels_from_rays, colour_camera.matrix @ colour_from_depth[:3, 3], registered)
    return registered
