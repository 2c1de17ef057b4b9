"""Rendering labelled points into a camera: z-buffered splats."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import invert
from vloc_ros.mapping.surface import Surface

Float = NDArray[np.float64]
Labels = NDArray[np.int32]

NEAR_M = 0.05
SPLAT_VOXELS = 0.75  # half side of a voxel's splat: a little more than half a voxel, so that no holes open
LAYER_RADII = 2.0  # what lies so many of its radii behind the nearest splat is the same surface


def render(surface: Surface, point_labels: Labels, camera: Camera, map_from_camera: Float) -> Labels:
    """Label image (H, W) int32 that `camera` (without its distortion) sees of the surface; 0 where it sees nothing.

    point_labels (N,): labels of the surface's points. Points without a label (0) still hide what is behind them.
    """
    radii = np.full(len(surface), SPLAT_VOXELS * surface.voxel_size)
    labels, _ = render_points(surface.points, radii, point_labels, camera, map_from_camera)
    return labels


def render_points(
    points: Float, radii: Float, point_labels: Labels, camera: Camera, map_from_camera: Float
) -> tuple[Labels, Float]:
    """Label image and depth (H, W), metres, inf where nothing is, of squares facing the camera at points (N, 3).

    radii (N,): half a square's side, metres.
    """
    camera_from_map = invert(np.asarray(map_from_camera, dtype=np.float64))
    projected = np.empty((len(points), 3))
    intrinsics = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
    _project(points, camera_from_map, intrinsics, projected)
    depth = np.full((camera.height, camera.width), np.inf)
    focal = intrinsics[:2].copy()
    _nearest_depth(projected, radii, focal, depth)
    labels = np.zeros(depth.shape, dtype=np.int32)
    _nearest_label(projected, radii, focal, depth, point_labels, labels)
    return labels, depth


@compiled()
def _project(points, m, intrinsics, out):  # type: ignore[no-untyped-def]
    """Pixel x, y and depth of each point; depth 0 where it is not in front of the camera."""
    for i in range(points.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        depth = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
        if depth < NEAR_M:
            out[i, 2] = 0.0
            continue
        out[i, 0] = intrinsics[0] * (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]) / depth + intrinsics[2]
        out[i, 1] = intrinsics[1] * (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]) / depth + intrinsics[3]
        out[i, 2] = depth


@compiled(inline="always")
def _window(point, radius, focal, shape):  # type: ignore[no-untyped-def]
    """Pixels x0, x1, y0, y1 (ends excluded) that a splat covers, at least the one that it lies in."""
    half_x, half_y = max(0.5, radius * focal[0] / point[2]), max(0.5, radius * focal[1] / point[2])
    x0, x1 = max(0.0, np.ceil(point[0] - half_x)), min(shape[1] - 1.0, np.floor(point[0] + half_x))
    y0, y1 = max(0.0, np.ceil(point[1] - half_y)), min(shape[0] - 1.0, np.floor(point[1] + half_y))
    return int(x0), int(x1) + 1, int(y0), int(y1) + 1


@compiled()
def _nearest_depth(projected, radii, focal, depth):  # type: ignore[no-untyped-def]
    for i in range(projected.shape[0]):
        z = projected[i, 2]
        if z <= 0.0:
            continue
        x0, x1, y0, y1 = _window(projected[i], radii[i], focal, depth.shape)
        for y in range(y0, y1):
            for x in range(x0, x1):
                depth[y, x] = min(depth[y, x], z)


@compiled()
def _nearest_label(projected, radii, focal, depth, point_labels, labels):  # type: ignore[no-untyped-def]
    """Among the splats of the front layer, the label of the one whose centre is nearest to the pixel."""
    closest = np.full(depth.shape, np.inf)
    for i in range(projected.shape[0]):
        z = projected[i, 2]
        if z <= 0.0:
            continue
        layer = LAYER_RADII * radii[i]
        x0, x1, y0, y1 = _window(projected[i], radii[i], focal, depth.shape)
        for y in range(y0, y1):
            for x in range(x0, x1):
                if z <= depth[y, x] + layer:
                    # in splats rather than pixels, and with the depth, so that the front one wins at an edge
                    across, down = (projected[i, 0] - x) / focal[0] * z, (projected[i, 1] - y) / focal[1] * z
                    behind = (z - depth[y, x]) / layer
                    off = (across * across + down * down) / radii[i] ** 2 + behind * behind
                    if off < closest[y, x]:
                        closest[y, x], labels[y, x] = off, point_labels[i]
