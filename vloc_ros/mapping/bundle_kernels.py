"""What is compiled of bundle adjustment."""

import numpy as np

from vloc_ros.compiled import compiled
from vloc_ros.mapping.observations import CAUCHY, MIN_DEPTH_M, PIXEL_SIGMA, residuals_of


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
def accumulate_lens(  # type: ignore[no-untyped-def]
    starts, frames, pixels, depths, weights, map_from_camera, camera_from_map, intrinsics, positions,
    directions, lens, lens_gradient, pose_lens, point_lens,
):  # fmt: skip
    """Add the observations' parts to what `_Equations` has of the lens, whose intrinsics move along
    `directions` (L, 6)."""
    length = len(directions)
    residuals, jacobian, own = np.empty(3), np.empty((3, 3)), np.empty(6)
    by_intrinsics, by_lens = np.zeros((2, 6)), np.empty(length)
    for p in range(len(starts) - 1 if length else 0):
        for o in range(starts[p], starts[p + 1]):
            f = frames[o]
            residuals_of(
                camera_from_map[f], positions[p, 0], positions[p, 1], positions[p, 2], pixels[o], depths[o],
                weights[o], intrinsics, residuals, jacobian,
            )  # fmt: skip
            _derive_by_intrinsics(camera_from_map[f], positions[p], intrinsics, by_intrinsics)
            y0 = positions[p, 0] - map_from_camera[f, 0, 3]
            y1 = positions[p, 1] - map_from_camera[f, 1, 3]
            y2 = positions[p, 2] - map_from_camera[f, 2, 3]
            weight = 1.0 / (1.0 + (residuals[0] ** 2 + residuals[1] ** 2) / CAUCHY**2)
            for r in range(2):
                m0, m1, m2 = jacobian[r, 0], jacobian[r, 1], jacobian[r, 2]
                own[0], own[1], own[2] = -m0, -m1, -m2
                own[3], own[4], own[5] = m1 * y2 - m2 * y1, m2 * y0 - m0 * y2, m0 * y1 - m1 * y0
                for k in range(length):
                    by_lens[k] = 0.0
                    for i in range(6):
                        by_lens[k] += by_intrinsics[r, i] * directions[k, i]
                for k in range(length):
                    weighted = weight * by_lens[k]
                    lens_gradient[k] += weighted * residuals[r]
                    for i in range(length):
                        lens[k, i] += weighted * by_lens[i]
                    for i in range(6):
                        pose_lens[f, i, k] += weighted * own[i]
                    for i in range(3):
                        point_lens[p, i, k] += weighted * jacobian[r, i]


@compiled(error_model="numpy")
def _derive_by_intrinsics(m, position, intrinsics, derivatives):  # type: ignore[no-untyped-def]
    """Fill the derivatives (2, 6) of a pixel's residuals, for a point at `position` (3,)."""
    x = m[0, 0] * position[0] + m[0, 1] * position[1] + m[0, 2] * position[2] + m[0, 3]
    y = m[1, 0] * position[0] + m[1, 1] * position[1] + m[1, 2] * position[2] + m[1, 3]
    z = max(m[2, 0] * position[0] + m[2, 1] * position[1] + m[2, 2] * position[2] + m[2, 3], MIN_DEPTH_M)
    squared = (x * x + y * y) / (z * z)
    radial = 1.0 + squared * (intrinsics[4] + squared * intrinsics[5])
    for r in range(2):
        slope = (x if r == 0 else y) / (z * PIXEL_SIGMA)
        derivatives[r, r] = slope * radial
        derivatives[r, 2 + r] = 1.0 / PIXEL_SIGMA
        derivatives[r, 4] = intrinsics[r] * slope * squared
        derivatives[r, 5] = derivatives[r, 4] * squared


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
def reduced_lens(starts, frames, mixed, solved, border):  # type: ignore[no-untyped-def]
    """Take W V^-1 E from `border` (F, 6, L), `solved` (P, 3, L) being V^-1 E, of points and lens."""
    for p in range(len(starts) - 1):
        for o in range(starts[p], starts[p + 1]):
            for i in range(6):
                for k in range(border.shape[2]):
                    for m in range(3):
                        border[frames[o], i, k] -= mixed[o, i, m] * solved[p, m, k]


@compiled(error_model="numpy")
def reduced_product(starts, frames, mixed, inverses, x, result):  # type: ignore[no-untyped-def]
    """Take W V^-1 W^T x from `result` (F, 6). Most of bundle adjustment's time is spent here: sums are in scalars."""
    for p in range(len(starts) - 1):
        g0, g1, g2 = 0.0, 0.0, 0.0
        for o in range(starts[p], starts[p + 1]):
            f = frames[o]
            for i in range(6):
                value = x[f, i]
                g0 += mixed[o, i, 0] * value
                g1 += mixed[o, i, 1] * value
                g2 += mixed[o, i, 2] * value
        s0 = inverses[p, 0, 0] * g0 + inverses[p, 0, 1] * g1 + inverses[p, 0, 2] * g2
        s1 = inverses[p, 1, 0] * g0 + inverses[p, 1, 1] * g1 + inverses[p, 1, 2] * g2
        s2 = inverses[p, 2, 0] * g0 + inverses[p, 2, 1] * g1 + inverses[p, 2, 2] * g2
        for o in range(starts[p], starts[p + 1]):
            f = frames[o]
            for i in range(6):
                result[f, i] -= mixed[o, i, 0] * s0 + mixed[o, i, 1] * s1 + mixed[o, i, 2] * s2


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
