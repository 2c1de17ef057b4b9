"""What is compiled of bundle adjustment."""

import numpy as np

from vloc_ros.compiled import compiled
from vloc_ros.mapping.observations import CAUCHY, residuals_of


@compiled(error_model="numpy")
def cost_of(starts, frames, pixels, depths, weights, camera_from_map, intrinsics, positions):  # type: ignore[no-untyped-def]
    """The observations' part of `bundle_adjustment.cost`."""
    residuals, jacobian = np.empty(3), np.empty((3, 3))
    cost = 0.0
    for p in range(len(starts) - 1):
        for o in range(starts[p], starts[p + 1]):
            residuals_of(
                camera_from_map[frames[o]], positions[p, 0], positions[p, 1], positions[p, 2], pixels[o], depths[o],
                weights[o], intrinsics, residuals, jacobian,
            )  # fmt: skip
            cost += np.log1p((residuals[0] ** 2 + residuals[1] ** 2) / CAUCHY**2)
            cost += np.log1p((residuals[2] / CAUCHY) ** 2)
    return CAUCHY**2 / 2 * cost


@compiled(error_model="numpy")
def accumulate(  # type: ignore[no-untyped-def]
    starts, frames, pixels, depths, weights, map_from_camera, camera_from_map, intrinsics, positions,
    poses, pose_gradients, points, point_gradients, mixed,
):  # fmt: skip
    """Add the observations' parts to what `_Equations` has.

    With y = P - t in map axes, a pose's step (dt, dw) moves the point in the camera as -dt + y x dw moves it in the
    map: of a row m of the derivative by the point, the pose's is (-m, m x y).
    """
    residuals, jacobian, own = np.empty(3), np.empty((3, 3)), np.empty((3, 6))
    for p in range(len(starts) - 1):
        for o in range(starts[p], starts[p + 1]):
            f = frames[o]
            residuals_of(
                camera_from_map[f], positions[p, 0], positions[p, 1], positions[p, 2], pixels[o], depths[o],
                weights[o], intrinsics, residuals, jacobian,
            )  # fmt: skip
            y0 = positions[p, 0] - map_from_camera[f, 0, 3]
            y1 = positions[p, 1] - map_from_camera[f, 1, 3]
            y2 = positions[p, 2] - map_from_camera[f, 2, 3]
            of_pixel = np.sqrt(1.0 / (1.0 + (residuals[0] ** 2 + residuals[1] ** 2) / CAUCHY**2))
            of_depth = np.sqrt(1.0 / (1.0 + (residuals[2] / CAUCHY) ** 2))
            for r in range(3):
                weight = of_depth if r == 2 else of_pixel
                residuals[r] *= weight
                for k in range(3):
                    jacobian[r, k] *= weight
                    own[r, k] = -jacobian[r, k]
                # the derivative by dw: m . (y x dw) = (m x y) . dw
                own[r, 3] = jacobian[r, 1] * y2 - jacobian[r, 2] * y1
                own[r, 4] = jacobian[r, 2] * y0 - jacobian[r, 0] * y2
                own[r, 5] = jacobian[r, 0] * y1 - jacobian[r, 1] * y0
            for r in range(3):
                for i in range(6):
                    pose_gradients[f, i] += own[r, i] * residuals[r]
                    for k in range(6):
                        poses[f, i, k] += own[r, i] * own[r, k]
                    for k in range(3):
                        mixed[o, i, k] += own[r, i] * jacobian[r, k]
                for i in range(3):
                    point_gradients[p, i] += jacobian[r, i] * residuals[r]
                    for k in range(3):
                        points[p, i, k] += jacobian[r, i] * jacobian[r, k]


@compiled(error_model="numpy")
def reduced_system(starts, frames, mixed, inverses, point_gradients, right, blocks):  # type: ignore[no-untyped-def]
    """Add W V^-1 g to `right` (F, 6), and take the poses' own blocks of W V^-1 W^T from `blocks` (F, 6, 6)."""
    half = np.empty((6, 3))
    for p in range(len(starts) - 1):
        for o in range(starts[p], starts[p + 1]):
            f = frames[o]
            for i in range(6):
                for k in range(3):
                    half[i, k] = 0.0
                    for m in range(3):
                        half[i, k] += mixed[o, i, m] * inverses[p, m, k]
                    right[f, i] += half[i, k] * point_gradients[p, k]
            for i in range(6):
                for k in range(6):
                    for m in range(3):
                        blocks[f, i, k] -= half[i, m] * mixed[o, k, m]


@compiled(error_model="numpy")
def reduced_product(starts, frames, mixed, inverses, x, result):  # type: ignore[no-untyped-def]
    """Take W V^-1 W^T x from `result` (F, 6)."""
    gathered, scaled = np.empty(3), np.empty(3)
    for p in range(len(starts) - 1):
        gathered[:] = 0.0
        for o in range(starts[p], starts[p + 1]):
            for k in range(3):
                for i in range(6):
                    gathered[k] += mixed[o, i, k] * x[frames[o], i]
        for k in range(3):
            scaled[k] = (
                inverses[p, k, 0] * gathered[0] + inverses[p, k, 1] * gathered[1] + inverses[p, k, 2] * gathered[2]
            )
        for o in range(starts[p], starts[p + 1]):
            for i in range(6):
                result[frames[o], i] -= (
                    mixed[o, i, 0] * scaled[0] + mixed[o, i, 1] * scaled[1] + mixed[o, i, 2] * scaled[2]
                )


@compiled(error_model="numpy")
def back_substitute(starts, frames, mixed, inverses, point_gradients, moves, shifts):  # type: ignore[no-untyped-def]
    """Fill the points' steps (P, 3): -V^-1 (g + W^T moves)."""
    gathered = np.empty(3)
    for p in range(len(starts) - 1):
        gathered[:] = point_gradients[p]
        for o in range(starts[p], starts[p + 1]):
            for k in range(3):
                for i in range(6):
                    gathered[k] += mixed[o, i, k] * moves[frames[o], i]
        for k in range(3):
            shifts[p, k] = -(
                inverses[p, k, 0] * gathered[0] + inverses[p, k, 1] * gathered[1] + inverses[p, k, 2] * gathered[2]
            )
