"""Compiled weighted refinement of a camera pose; in one file because Numba's cache knows only the outermost function's.

A step (6,) moves the camera's position by its first three numbers (metres) and turns the camera by its last three, a
rotation vector (radians), both along the MAP's axes: that is the order and meaning of a ROS pose covariance.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float64]

MAX_STEPS = 20
SETTLED = 1e-5  # a step of this many metres and radians ends the refinement
MIN_DEPTH_M = 1e-3


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def perturb(map_from_camera: Float, step: Float) -> Float:
    """The pose (4, 4) after `step` (6,)."""
    angle = np.sqrt(step[3] ** 2 + step[4] ** 2 + step[5] ** 2)
    cosine = np.cos(angle)
    moved: Float = map_from_camera.copy()
    if angle > 0:
        axis = step[3:] / angle
        for j in range(3):  # Rodrigues: v cos + (axis x v) sin + axis (axis . v) (1 - cos)
            v = map_from_camera[:3, j]
            along = (axis[0] * v[0] + axis[1] * v[1] + axis[2] * v[2]) * (1.0 - cosine)
            for a in range(3):
                b, c = (a + 1) % 3, (a + 2) % 3
                moved[a, j] = v[a] * cosine + (axis[b] * v[c] - axis[c] * v[b]) * np.sin(angle) + axis[a] * along
    for a in range(3):
        moved[a, 3] += step[a]
    return moved


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def normal_equations(
    map_from_camera: Float, pixels: Float, points: Float, sigmas: Float, intrinsics: Float, scale: float
) -> tuple[Float, Float, float, float]:
    """(J^T W J (6, 6), J^T W r (6,), cost, chi^2 = r^T W r) of residuals r in sigmas, J by the step of `perturb`.

    cost = sum(scale^2 / 2 log(1 + |r_i|^2 / scale^2)) (Cauchy), whose gradient is J^T W r with W_i = 1 / (1 + |r_i|^2 /
    scale^2). With y = P - t in map axes and q = R^T y in camera axes: dq = -R^T dt + R^T [y]x dw.
    `intrinsics`: fx, fy, cx, cy.
    """
    information, gradient = np.zeros((6, 6)), np.zeros(6)
    cost = chi2 = 0.0
    jacobian, residual, y, q = np.empty((2, 6)), np.empty(2), np.empty(3), np.empty(3)
    for i in range(len(points)):
        for a in range(3):
            y[a] = points[i, a] - map_from_camera[a, 3]
        for a in range(3):
            q[a] = map_from_camera[0, a] * y[0] + map_from_camera[1, a] * y[1] + map_from_camera[2, a] * y[2]
        z = max(q[2], MIN_DEPTH_M)
        for axis in range(2):
            focal, slope = intrinsics[axis], q[axis] / z
            residual[axis] = (focal * slope + intrinsics[2 + axis] - pixels[i, axis]) / sigmas[i]
            for a in range(3):
                toward = map_from_camera[a, axis] - slope * map_from_camera[a, 2]
                jacobian[axis, a] = -focal / (z * sigmas[i]) * toward
            for a in range(3):  # m . (y x dw) = (m x y) . dw, and the move's part is -m
                b, c = (a + 1) % 3, (a + 2) % 3
                jacobian[axis, 3 + a] = y[b] * jacobian[axis, c] - y[c] * jacobian[axis, b]
        squared = residual[0] ** 2 + residual[1] ** 2
        weight = 1.0 / (1.0 + squared / scale**2)
        cost += scale**2 / 2 * np.log1p(squared / scale**2)
        chi2 += weight * squared
        for a in range(6):
            gradient[a] += weight * (jacobian[0, a] * residual[0] + jacobian[1, a] * residual[1])
            for b in range(a + 1):
                information[a, b] += weight * (jacobian[0, a] * jacobian[0, b] + jacobian[1, a] * jacobian[1, b])
    for a in range(6):
        for b in range(a):
            information[b, a] = information[a, b]
    return information, gradient, cost, chi2


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def damped_step(information: Float, gradient: Float, damping: float) -> Float:
    """-(A + damping diag A)^-1 g by Cholesky; NaN where A is not positive definite. (Numba's own needs SciPy.)"""
    n = len(gradient)
    lower, step = np.zeros((n, n)), -gradient
    for i in range(n):
        for j in range(i + 1):
            rest = information[i, j] * (1.0 + damping if i == j else 1.0)
            for k in range(j):
                rest -= lower[i, k] * lower[j, k]
            lower[i, j] = np.sqrt(rest) if i == j else rest / lower[j, j]
    for i in range(n):
        for k in range(i):
            step[i] -= lower[i, k] * step[k]
        step[i] /= lower[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            step[i] -= lower[k, i] * step[k]
        step[i] /= lower[i, i]
    return step


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def refine(
    map_from_camera: Float, pixels: Float, points: Float, sigmas: Float, intrinsics: Float, scale: float
) -> tuple[Float, Float, float]:
    """Levenberg-Marquardt on the cost of `normal_equations`: (map_from_camera, information, chi^2) at its end."""
    pose, damping = map_from_camera.copy(), 1e-6
    information, gradient, cost, chi2 = normal_equations(pose, pixels, points, sigmas, intrinsics, scale)
    for _ in range(MAX_STEPS):
        step = damped_step(information, gradient, damping)
        if not np.isfinite(step).all():
            break
        candidate = perturb(pose, step)
        trial = normal_equations(candidate, pixels, points, sigmas, intrinsics, scale)
        if trial[2] <= cost:
            pose, damping = candidate, damping / 10
            information, gradient, cost, chi2 = trial
        else:
            damping *= 100
        if np.abs(step).max() < SETTLED:
            break
    return pose, information, chi2
