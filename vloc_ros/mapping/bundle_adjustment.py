"""Bundle adjustment: poses and points together, each pose held near the recorded one by a prior.

Levenberg-Marquardt; points are eliminated (Schur complement), and the reduced system of the poses is solved by
conjugate gradients without being formed: memory and time grow with the observations, not with the frames' square.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.pose_error import error_vector
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.transforms import invert
from vloc_ros.mapping.bundle_kernels import accumulate, back_substitute, cost_of, reduced_product, reduced_system
from vloc_ros.mapping.observations import Observations
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]

POSITION_SIGMA_M, ROTATION_SIGMA_RAD = 0.003, np.radians(0.03)  # of the recorded poses; looser ones drift
MAX_STEPS = 10
MIN_DECREASE = 1e-4  # of the cost: a step that gains less is the last
CG_TOLERANCE, MAX_CG_STEPS = 1e-3, 60


@dataclass(frozen=True, eq=False)
class PosePrior:
    """Recorded poses (F, 4, 4) and their standard deviations (6,), along the map's axes: metres, then radians."""

    map_from_camera: Float
    sigmas: Float


def pose_prior(
    map_from_camera: Float, position_m: float = POSITION_SIGMA_M, rotation_rad: float = ROTATION_SIGMA_RAD
) -> PosePrior:
    """The same uncertainty for all poses (F, 4, 4)."""
    return PosePrior(map_from_camera, np.array([position_m] * 3 + [rotation_rad] * 3))


@dataclass(frozen=True, eq=False)
class Bundle:
    """Poses (F, 4, 4) and points (P, 3); `information` (P, 3, 3) of each point with the poses held fixed."""

    map_from_camera: Float
    positions: Float
    information: Float
    cost: float


def adjust(
    observations: Observations,
    start: Float,
    positions: Float,
    prior: PosePrior,
    max_steps: int = MAX_STEPS,
    advance: Advance = no_advance,
) -> Bundle:
    """Poses and points that fit observations and prior best, from poses `start` (F, 4, 4) and `positions` (P, 3) on.

    The cost is that of `cost`: Cauchy on the length of a pixel's residual and on a depth's, squares of the prior's.
    """
    poses, damping, last = start.copy(), 1e-4, cost(observations, start, positions, prior)
    for step in range(max_steps):
        equations = _equations(observations, poses, positions, prior)
        moves, shifts = _solve(observations, equations, damping)
        candidate = np.stack([perturb(pose, move) for pose, move in zip(poses, moves, strict=True)])
        trial = cost(observations, candidate, positions + shifts, prior)
        gain = last - trial
        if gain > 0:
            poses, positions, last, damping = candidate, positions + shifts, trial, damping / 10
        else:
            damping *= 100
        advance(step + 1, max_steps)
        if 0 <= gain < MIN_DECREASE * last:
            break
    return Bundle(poses, positions, _equations(observations, poses, positions, prior).points, last)


def cost(observations: Observations, map_from_camera: Float, positions: Float, prior: PosePrior) -> float:
    """Half the sum of squared residuals in standard deviations, those of observations under a Cauchy loss."""
    observed = cost_of(
        observations.starts, observations.frames, observations.pixels, observations.depths,
        observations.weights, np.ascontiguousarray(invert(map_from_camera)), observations.intrinsics,
        positions,
    )  # fmt: skip
    return float(observed + (_prior_residuals(map_from_camera, prior) ** 2).sum() / 2)


def _prior_residuals(map_from_camera: Float, prior: PosePrior) -> Float:
    """(F, 6)"""
    pairs = zip(map_from_camera, prior.map_from_camera, strict=True)
    return np.stack([error_vector(pose, recorded) for pose, recorded in pairs]) / prior.sigmas


@dataclass(frozen=True, eq=False)
class _Equations:
    """J^T W J and J^T W r: of each pose (F, 6, 6) and (F, 6), of each point (P, 3, 3) and (P, 3), and of both for each
    observation (O, 6, 3)."""

    poses: Float
    pose_gradients: Float
    points: Float
    point_gradients: Float
    mixed: Float


def _equations(observations: Observations, map_from_camera: Float, positions: Float, prior: PosePrior) -> _Equations:
    frames, points = len(map_from_camera), len(positions)
    sums = _Equations(
        np.zeros((frames, 6, 6)), np.zeros((frames, 6)), np.zeros((points, 3, 3)), np.zeros((points, 3)),
        np.zeros((len(observations), 6, 3)),
    )  # fmt: skip
    accumulate(
        observations.starts, observations.frames, observations.pixels, observations.depths, observations.weights,
        np.ascontiguousarray(map_from_camera), np.ascontiguousarray(invert(map_from_camera)), observations.intrinsics,
        positions, sums.poses, sums.pose_gradients, sums.points, sums.point_gradients, sums.mixed,
    )  # fmt: skip
    residuals = _prior_residuals(map_from_camera, prior)
    sums.poses[:] += np.diag(prior.sigmas**-2.0)  # a small step changes the residual by itself, over sigma
    sums.pose_gradients[:] += residuals / prior.sigmas
    return sums


def _solve(observations: Observations, sums: _Equations, damping: float) -> tuple[Float, Float]:
    """Steps of the poses (F, 6), as `perturb` has them, and of the points (P, 3)."""
    diagonal = np.einsum("fii->fi", sums.poses)
    poses = sums.poses + damping * diagonal[:, :, None] * np.eye(6)
    inverses = _inverses(sums.points, damping)
    starts, frames, mixed = observations.starts, observations.frames, sums.mixed
    right, blocks = -sums.pose_gradients, poses.copy()
    reduced_system(starts, frames, mixed, inverses, sums.point_gradients, right, blocks)
    preconditioner = np.linalg.inv(blocks)

    def product(x: Float) -> Float:
        result: Float = np.einsum("fij,fj->fi", poses, x)
        reduced_product(starts, frames, mixed, inverses, x, result)
        return result

    moves = _conjugate_gradients(product, right, preconditioner)
    shifts = np.empty_like(sums.point_gradients)
    back_substitute(starts, frames, mixed, inverses, sums.point_gradients, moves, shifts)
    return moves, shifts


def _inverses(points: Float, damping: float) -> Float:
    """Inverses of the damped blocks (P, 3, 3) of points."""
    diagonal = np.einsum("pii->pi", points)
    return np.linalg.inv(points + (damping * diagonal + 1e-9)[:, :, None] * np.eye(3))


def _conjugate_gradients(product, right: Float, preconditioner: Float) -> Float:  # type: ignore[no-untyped-def]
    """The solution (F, 6) of product(x) = right, preconditioned by blocks (F, 6, 6)."""
    x = np.zeros_like(right)
    residual = right.copy()
    scaled = np.einsum("fij,fj->fi", preconditioner, residual)
    direction, size = scaled, float((residual * scaled).sum())
    limit = CG_TOLERANCE**2 * size
    for _ in range(MAX_CG_STEPS):
        if size <= limit or size <= 0:
            break
        image = product(direction)
        length = size / float((direction * image).sum())
        x += length * direction
        residual = residual - length * image
        scaled = np.einsum("fij,fj->fi", preconditioner, residual)
        before, size = size, float((residual * scaled).sum())
        direction = scaled + size / before * direction
    return x
