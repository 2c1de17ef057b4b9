"""Weighted refinement of the pose of a camera, or of a rig of several: Levenberg-Marquardt on a robust cost.

A step (6,) moves the camera's position by its first three numbers (metres) and turns the camera by its last three, a
rotation vector (radians), both along the MAP's axes: that is the order and meaning of a ROS pose covariance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.rig import RigCamera, camera_step_from_rig_step

Float = NDArray[np.float64]

MAX_STEPS = 20
SETTLED = 1e-5  # a step of this many metres and radians ends the refinement
LOWER = np.tri(7, dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class Sight:
    """What one camera of a rig sees: pixels (N, 2) of its undistorted image, their map points (N, 3), and the pixels'
    standard deviations (N,); `flattening` (N, 2): see `Matches`. All arrays are contiguous."""

    rig_camera: RigCamera
    pixels: Float
    points: Float
    sigmas: Float
    flattening: Float

    @cached_property
    def intrinsics(self) -> Float:
        """fx, fy, cx, cy."""
        camera = self.rig_camera.camera
        return np.array([camera.fx, camera.fy, camera.cx, camera.cy])

    def normal_equations(self, map_from_camera: Float, scale: float) -> tuple[Float, Float, float, float]:
        """`normal_equations` of these."""
        return normal_equations(
            map_from_camera, self.pixels, self.points, self.sigmas, self.flattening, self.intrinsics, scale
        )


def perturb(map_from_camera: Float, step: Float) -> Float:
    """The pose (4, 4) after `step` (6,)."""
    x, y, z = step[3:].tolist()
    moved: Float = map_from_camera.copy()
    if (angle := math.sqrt(x * x + y * y + z * z)) > 0:
        moved[:3, :3] = _turned(map_from_camera[:3, :3], (x / angle, y / angle, z / angle), angle)
    moved[:3, 3] += step[:3]
    return moved


def _turned(rotation: Float, axis: tuple[float, float, float], angle: float) -> list[list[float]]:
    """Rodrigues: v cos + (axis x v) sin + axis (axis . v) (1 - cos) of each column v."""
    (x, y, z), cosine, sine = axis, math.cos(angle), math.sin(angle)
    rows: list[list[float]] = [[], [], []]
    for u, v, w in rotation.T.tolist():
        along = (x * u + y * v + z * w) * (1.0 - cosine)
        rows[0].append(u * cosine + (y * w - z * v) * sine + x * along)
        rows[1].append(v * cosine + (z * u - x * w) * sine + y * along)
        rows[2].append(w * cosine + (x * v - y * u) * sine + z * along)
    return rows


def normal_equations(
    map_from_camera: Float,
    pixels: Float,
    points: Float,
    sigmas: Float,
    flattening: Float,
    intrinsics: Float,
    scale: float,
) -> tuple[Float, Float, float, float]:
    """(J^T W J (6, 6), J^T W r (6,), cost, chi^2 = r^T W r) of residuals r in sigmas, J by the step of `perturb`.

    cost = sum(scale^2 / 2 log(1 + |r_i|^2 / scale^2)) (Cauchy), whose gradient is J^T W r with W_i = 1 / (1 + |r_i|^2 /
    scale^2). With y = P - t in map axes and q = R^T y in camera axes: dq = -R^T dt + R^T [y]x dw.
    `intrinsics`: fx, fy, cx, cy. All arrays are contiguous.
    """
    from vloc_ros.geometry.pnp_kernels import add_residuals  # Numba takes a while to load

    sums = np.zeros((7, 7))
    cost = add_residuals(map_from_camera, pixels, points, sigmas, flattening, intrinsics, scale, np.empty((2, 7)), sums)
    whole = np.where(LOWER, sums, sums.T)
    return whole[:6, :6], whole[6, :6], cost, float(whole[6, 6])


def rig_equations(map_from_rig: Float, sights: Sequence[Sight], scale: float) -> tuple[Float, Float, float, float]:
    """The sums of `normal_equations` over all cameras, by a step of the rig."""
    if len(sights) == 1 and sights[0].rig_camera.is_rig:
        return sights[0].normal_equations(map_from_rig, scale)
    information, gradient, cost, chi2 = np.zeros((6, 6)), np.zeros(6), 0.0, 0.0
    for sight in sights:
        map_from_camera = sight.rig_camera.map_from_camera(map_from_rig)
        steps = camera_step_from_rig_step(map_from_rig, map_from_camera)
        own_information, own_gradient, own_cost, own_chi2 = sight.normal_equations(map_from_camera, scale)
        information += steps.T @ own_information @ steps
        gradient += steps.T @ own_gradient
        cost, chi2 = cost + own_cost, chi2 + own_chi2
    return information, gradient, cost, chi2


def damped_step(information: Float, gradient: Float, damping: float) -> Float:
    """-(A + damping diag A)^-1 g by Cholesky; NaN where A is not positive definite.

    For six numbers plain Python is faster than NumPy's calls.
    """
    n = len(gradient)
    lower: list[list[float]] = []  # L, and below it L^-1 g, which is what the gradient as a last row becomes
    step = [math.nan] * n
    try:
        for i, wanted in enumerate((*information.tolist(), gradient.tolist())):
            row: list[float] = []
            for above, rest in zip(lower, wanted, strict=False):
                for left, right in zip(row, above):  # noqa: B905 (the shorter one decides; `strict` costs time here)
                    rest -= left * right
                row.append(rest / above[-1])
            if i < n:
                rest = wanted[i] * (1.0 + damping)
                for left in row:
                    rest -= left * left
                row.append(math.sqrt(rest))
            lower.append(row)
        for i in reversed(range(n)):
            rest = -lower[n][i]
            for k in range(i + 1, n):
                rest -= lower[k][i] * step[k]
            step[i] = rest / lower[i][i]
    except (ValueError, ZeroDivisionError):  # the root of a negative number, a pivot of 0
        return np.full(n, np.nan)
    return np.array(step)


def refine(map_from_rig: Float, sights: Sequence[Sight], scale: float) -> tuple[Float, Float, float]:
    """Levenberg-Marquardt on the cost of `rig_equations`: (map_from_rig, information, chi^2) at its end."""
    pose, damping = np.ascontiguousarray(map_from_rig), 1e-6
    information, gradient, cost, chi2 = rig_equations(pose, sights, scale)
    for _ in range(MAX_STEPS):
        step = damped_step(information, gradient, damping)
        largest = float(np.abs(step).max())
        if not math.isfinite(largest):
            break
        candidate = perturb(pose, step)
        trial = rig_equations(candidate, sights, scale)
        if trial[2] <= cost:
            pose, damping = candidate, damping / 10
            information, gradient, cost, chi2 = trial
        else:
            damping *= 100
        if largest < SETTLED:
            break
    return pose, information, chi2
