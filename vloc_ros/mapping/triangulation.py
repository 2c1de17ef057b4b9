"""Points from tracks: a robust start from single measurements, then Gauss-Newton with a Cauchy loss."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.geometry.transforms import invert
from vloc_ros.mapping.observations import CAUCHY, Observations, residuals_of

Float = NDArray[np.float64]

MAX_STEPS = 15
SETTLED_M = 1e-5
MAX_STARTS = 8  # of a point, spread over its observations
DAMPING = 1e-6


def triangulate(observations: Observations, map_from_camera: Float) -> tuple[Float, Float]:
    """Positions (P, 3) and information matrices (P, 3, 3), in pixels and 1/m^2, of the observed points, by poses
    (F, 4, 4). NaN for a point without any measured depth.

    The start is that of the points that the depths measured which fits the pixels of all best.
    """
    positions = np.full((len(observations.starts) - 1, 3), np.nan)
    information = np.zeros((len(positions), 3, 3))
    _triangulate(
        observations.starts, observations.frames, observations.pixels, observations.depths,
        observations.weights, np.ascontiguousarray(map_from_camera),
        np.ascontiguousarray(invert(map_from_camera)), observations.intrinsics, positions, information,
    )  # fmt: skip
    return positions, information


def refined_positions(
    observations: Observations, map_from_camera: Float, positions: Float, settled_m: float = SETTLED_M
) -> tuple[Float, Float]:
    """Positions (P, 3) of points that fit their observations best, from those given on, by poses (F, 4, 4), and
    information matrices (P, 3, 3) as `triangulate` has them. A step that moves a point by less than `settled_m` is its
    last."""
    found: Float = positions.copy()
    information = np.zeros((len(found), 3, 3))
    _refine(
        observations.starts, observations.frames, observations.pixels, observations.depths, observations.weights,
        np.ascontiguousarray(invert(map_from_camera)), observations.intrinsics, found,
        information, settled_m,
    )  # fmt: skip
    return found, information


def sigmas(information: Float) -> Float:
    """(P,) metres, the standard deviation along the worst direction of each; infinite where that is unknown."""
    least = np.linalg.eigvalsh(np.nan_to_num(information))[:, 0]
    return np.where(least > 0, 1 / np.sqrt(np.maximum(least, 1e-12)), np.inf)


@compiled(error_model="numpy")
def _triangulate(  # type: ignore[no-untyped-def]
    starts, frames, pixels, depths, weights, map_from_camera, camera_from_map, intrinsics, positions, information
):
    residuals, jacobian = np.empty(3), np.empty((3, 3))
    for p in range(len(starts) - 1):
        first, end = starts[p], starts[p + 1]
        least = np.inf
        step = 1 + (end - first) // MAX_STARTS
        for o in range(first, end, step):
            if depths[o] <= 0:
                continue
            m = map_from_camera[frames[o]]
            rx = (pixels[o, 0] - intrinsics[2]) / intrinsics[0] * depths[o]
            ry = (pixels[o, 1] - intrinsics[3]) / intrinsics[1] * depths[o]
            x = m[0, 0] * rx + m[0, 1] * ry + m[0, 2] * depths[o] + m[0, 3]
            y = m[1, 0] * rx + m[1, 1] * ry + m[1, 2] * depths[o] + m[1, 3]
            z = m[2, 0] * rx + m[2, 1] * ry + m[2, 2] * depths[o] + m[2, 3]
            cost = _cost(
                first, end, frames, pixels, depths, weights, camera_from_map, intrinsics, x, y, z, residuals, jacobian
            )
            if cost < least:
                least = cost
                positions[p, 0], positions[p, 1], positions[p, 2] = x, y, z
        if np.isfinite(least):
            _descend(
                first, end, frames, pixels, depths, weights, camera_from_map, intrinsics, positions[p], information[p],
                residuals, jacobian, SETTLED_M,
            )  # fmt: skip


@compiled(error_model="numpy")
def _refine(  # type: ignore[no-untyped-def]
    starts, frames, pixels, depths, weights, camera_from_map, intrinsics, positions, information, settled_m
):
    residuals, jacobian = np.empty(3), np.empty((3, 3))
    for p in range(len(starts) - 1):
        _descend(
            starts[p], starts[p + 1], frames, pixels, depths, weights, camera_from_map, intrinsics, positions[p],
            information[p], residuals, jacobian, settled_m,
        )  # fmt: skip


@compiled(error_model="numpy")
def _cost(  # type: ignore[no-untyped-def]
    first, end, frames, pixels, depths, weights, camera_from_map, intrinsics, x, y, z, residuals, jacobian
):
    cost = 0.0
    for o in range(first, end):
        residuals_of(
            camera_from_map[frames[o]], x, y, z, pixels[o], depths[o], weights[o], intrinsics, residuals, jacobian
        )
        cost += np.log1p((residuals[0] ** 2 + residuals[1] ** 2) / CAUCHY**2) + np.log1p((residuals[2] / CAUCHY) ** 2)
    return cost


@compiled(error_model="numpy")
def _descend(  # type: ignore[no-untyped-def]
    first, end, frames, pixels, depths, weights, camera_from_map, intrinsics, position, information,
    residuals, jacobian, settled_m,
):  # fmt: skip
    """Gauss-Newton from `position` (3,), which it moves; `information` (3, 3) is that at its end."""
    gradient = np.empty(3)
    for _ in range(MAX_STEPS):
        information[:], gradient[:] = 0.0, 0.0
        for o in range(first, end):
            residuals_of(
                camera_from_map[frames[o]], position[0], position[1], position[2], pixels[o], depths[o], weights[o],
                intrinsics, residuals, jacobian,
            )  # fmt: skip
            of_pixel = 1.0 / (1.0 + (residuals[0] ** 2 + residuals[1] ** 2) / CAUCHY**2)
            of_depth = 1.0 / (1.0 + (residuals[2] / CAUCHY) ** 2)
            for i in range(3):
                gradient[i] += of_depth * jacobian[2, i] * residuals[2]
                gradient[i] += of_pixel * (jacobian[0, i] * residuals[0] + jacobian[1, i] * residuals[1])
                for k in range(3):
                    information[i, k] += of_depth * jacobian[2, i] * jacobian[2, k]
                    information[i, k] += of_pixel * (jacobian[0, i] * jacobian[0, k] + jacobian[1, i] * jacobian[1, k])
        dx, dy, dz = solve3(information, gradient, DAMPING)
        if not np.isfinite(dx + dy + dz):
            break
        position[0] -= dx
        position[1] -= dy
        position[2] -= dz
        if max(abs(dx), abs(dy), abs(dz)) < settled_m:
            break


@compiled(error_model="numpy")
def solve3(a, b, damping):  # type: ignore[no-untyped-def]
    """The solution (3,) of the symmetric (a + damping diag a) x = b."""
    a00, a11, a22 = a[0, 0] * (1 + damping), a[1, 1] * (1 + damping), a[2, 2] * (1 + damping)
    a01, a02, a12 = a[0, 1], a[0, 2], a[1, 2]
    c00, c01, c02 = a11 * a22 - a12 * a12, a02 * a12 - a01 * a22, a01 * a12 - a02 * a11
    c11, c12, c22 = a00 * a22 - a02 * a02, a01 * a02 - a00 * a12, a00 * a11 - a01 * a01
    scale = 1.0 / (a00 * c00 + a01 * c01 + a02 * c02)
    return (
        scale * (c00 * b[0] + c01 * b[1] + c02 * b[2]),
        scale * (c01 * b[0] + c11 * b[1] + c12 * b[2]),
        scale * (c02 * b[0] + c12 * b[1] + c22 * b[2]),
    )
