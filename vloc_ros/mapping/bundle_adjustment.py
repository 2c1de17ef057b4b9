"""Bundle adjustment: poses and points together, each pose held near the recorded one by a prior.

Levenberg-Marquardt; points are eliminated (Schur complement), and the reduced system of the poses is solved by
conjugate gradients without being formed: memory and time grow with the observations, not with the frames' square.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.pose_error import error_vector
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.transforms import invert
from vloc_ros.mapping.bundle_kernels import (
    accumulate,
    accumulate_lens,
    back_substitute,
    cost_of,
    reduced_lens,
    reduced_product,
    reduced_system,
)
from vloc_ros.mapping.observations import Observations
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]

POSITION_SIGMA_M, ROTATION_SIGMA_RAD = 0.003, np.radians(0.03)  # of the recorded poses; looser ones drift
MAX_STEPS = 10
MIN_DECREASE = 1e-4  # of the cost: a step that gains less is the last
CG_TOLERANCE, MAX_CG_STEPS = 1e-3, 60
LENS_TOLERANCE = 0.05  # of how poses answer to the lens: what is missing falls with the steps, as the lens settles


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


FOCAL_SIGMA, DISTORTION_SIGMA = 0.01, 0.05  # of the declared lens: relative, and of k1


@dataclass(frozen=True, eq=False)
class LensPrior:
    """The declared intrinsics (6,), as Observations have them, and the `directions` (L, 6) in which they are adjusted,
    each as long as a standard deviation."""

    intrinsics: Float
    directions: Float

    def moved(self, steps: Float) -> Float:
        """The intrinsics so many (L,) standard deviations away."""
        return np.asarray(self.intrinsics + steps @ self.directions)


def lens_prior(intrinsics: Float) -> LensPrior:
    """One focal length and radial distortion: what a calibration is off by most. A shift of the centre looks like a
    turn of the camera, and a second focal length like a point's height: both wander off where there is little to
    see."""
    fx, fy = intrinsics[:2]
    focal, distortion = (FOCAL_SIGMA * fx, FOCAL_SIGMA * fy, 0, 0, 0, 0), (0, 0, 0, 0, DISTORTION_SIGMA, 0)
    return LensPrior(intrinsics, np.array([focal, distortion], dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Bundle:
    """Poses (F, 4, 4), points (P, 3) and intrinsics (6,); `information` (P, 3, 3) of each point with all else held
    fixed."""

    map_from_camera: Float
    positions: Float
    intrinsics: Float
    information: Float
    cost: float


def adjust(
    observations: Observations,
    start: Float,
    positions: Float,
    prior: PosePrior,
    lens: LensPrior | None = None,
    max_steps: int = MAX_STEPS,
    advance: Advance = no_advance,
) -> Bundle:
    """Poses, points and intrinsics that fit observations and priors best, from poses `start` (F, 4, 4), `positions`
    (P, 3) and the intrinsics of the observations on; these stay as they are without `lens`.

    The cost is that of `cost`: Cauchy on the length of a pixel's residual and on a depth's, squares of the priors'.
    """
    priors = _Priors(prior, lens or LensPrior(observations.intrinsics, np.zeros((0, 6))))
    found, damping = _State(observations, start, positions, np.zeros(len(priors.lens.directions))), 1e-4
    last = _cost(found, priors)
    for step in range(max_steps):
        candidate = _moved(found, *_solve(_equations(found, priors), damping), priors.lens)
        trial = _cost(candidate, priors)
        gain = last - trial
        if gain > 0:
            found, last, damping = candidate, trial, damping / 10
        else:
            damping *= 100
        advance(step + 1, max_steps)
        if 0 <= gain < MIN_DECREASE * last:
            break
    information = _equations(found, priors).points
    return Bundle(found.map_from_camera, found.positions, found.observations.intrinsics, information, last)


@dataclass(frozen=True, eq=False)
class _Priors:
    poses: PosePrior
    lens: LensPrior


@dataclass(frozen=True, eq=False)
class _State:
    """Poses (F, 4, 4), points (P, 3), and steps (L,) of the lens, whose intrinsics the observations carry."""

    observations: Observations
    map_from_camera: Float
    positions: Float
    lens: Float


def _moved(state: _State, moves: Float, shifts: Float, changes: Float, lens: LensPrior) -> _State:
    """By a step of poses (F, 6), points (P, 3) and lens (L,)."""
    steps = state.lens + changes
    poses = np.stack([perturb(pose, move) for pose, move in zip(state.map_from_camera, moves, strict=True)])
    return _State(replace(state.observations, intrinsics=lens.moved(steps)), poses, state.positions + shifts, steps)


def cost(observations: Observations, map_from_camera: Float, positions: Float, prior: PosePrior) -> float:
    """Half the sum of squared residuals in standard deviations, those of observations under a Cauchy loss."""
    observed = cost_of(
        observations.starts, observations.frames, observations.pixels, observations.depths,
        observations.weights, np.ascontiguousarray(invert(map_from_camera)), observations.intrinsics,
        positions,
    )  # fmt: skip
    return float(observed + (_prior_residuals(map_from_camera, prior) ** 2).sum() / 2)


def _cost(state: _State, priors: _Priors) -> float:
    """The same with that of the lens."""
    observed = cost(state.observations, state.map_from_camera, state.positions, priors.poses)
    return observed + float((state.lens**2).sum() / 2)


def _prior_residuals(map_from_camera: Float, prior: PosePrior) -> Float:
    """(F, 6)"""
    pairs = zip(map_from_camera, prior.map_from_camera, strict=True)
    return np.stack([error_vector(pose, recorded) for pose, recorded in pairs]) / prior.sigmas


@dataclass(frozen=True, eq=False)
class _Equations:
    """J^T W J and J^T W r: of each pose (F, 6, 6) and (F, 6), of each point (P, 3, 3) and (P, 3), and of the lens
    (L, L) and (L,). J^T W J of pose and point for each of the `observations` (O, 6, 3), of poses and lens (F, 6, L), of
    points and lens (P, 3, L)."""

    observations: Observations
    poses: Float
    pose_gradients: Float
    points: Float
    point_gradients: Float
    mixed: Float
    lens: Float
    lens_gradient: Float
    pose_lens: Float
    point_lens: Float


def _equations(state: _State, priors: _Priors) -> _Equations:
    frames, points, length = len(state.map_from_camera), len(state.positions), len(state.lens)
    observations, prior = state.observations, priors.poses
    sums = _Equations(
        observations, np.zeros((frames, 6, 6)), np.zeros((frames, 6)), np.zeros((points, 3, 3)),
        np.zeros((points, 3)), np.zeros((len(observations), 6, 3)), np.zeros((length, length)), np.zeros(length),
        np.zeros((frames, 6, length)), np.zeros((points, 3, length)),
    )  # fmt: skip
    observed = (
        observations.starts, observations.frames, observations.pixels, observations.depths, observations.weights,
        np.ascontiguousarray(state.map_from_camera), np.ascontiguousarray(invert(state.map_from_camera)),
        observations.intrinsics, state.positions,
    )  # fmt: skip
    accumulate(*observed, sums.poses, sums.pose_gradients, sums.points, sums.point_gradients, sums.mixed)
    accumulate_lens(*observed, priors.lens.directions, sums.lens, sums.lens_gradient, sums.pose_lens, sums.point_lens)
    residuals = _prior_residuals(state.map_from_camera, prior)
    sums.poses[:] += np.diag(prior.sigmas**-2.0)  # a small step changes the residual by itself, over sigma
    sums.pose_gradients[:] += residuals / prior.sigmas
    sums.lens[:] += np.eye(length)
    sums.lens_gradient[:] += state.lens
    return sums


def _solve(sums: _Equations, damping: float) -> tuple[Float, Float, Float]:
    """Steps of the poses (F, 6), as `perturb` has them, of the points (P, 3), and of the lens (L,)."""
    starts, frames, mixed = sums.observations.starts, sums.observations.frames, sums.mixed
    diagonal = np.einsum("fii->fi", sums.poses)
    poses = sums.poses + damping * diagonal[:, :, None] * np.eye(6)
    inverses = _inverses(sums.points, damping)
    right, blocks = -sums.pose_gradients, poses.copy()
    reduced_system(starts, frames, mixed, inverses, sums.point_gradients, right, blocks)
    preconditioner = np.linalg.inv(blocks)

    def product(x: Float) -> Float:
        result: Float = np.einsum("fij,fj->fi", poses, x)
        reduced_product(starts, frames, mixed, inverses, x, result)
        return result

    border, own, of_lens = _border(sums, inverses, damping)
    moves = _conjugate_gradients(product, right, preconditioner)
    columns = [
        _conjugate_gradients(product, column, preconditioner, LENS_TOLERANCE) for column in np.moveaxis(border, 2, 0)
    ]
    responses = np.stack([*columns, moves], axis=2)[:, :, :-1]  # of the poses to the lens
    left = own - np.einsum("fil,fik->lk", border, responses)
    changes = np.linalg.solve(left, of_lens - np.einsum("fil,fi->l", border, moves))
    moves = moves - responses @ changes
    shifts = np.empty_like(sums.point_gradients)
    back_substitute(starts, frames, mixed, inverses, sums.point_gradients + sums.point_lens @ changes, moves, shifts)
    return moves, shifts, changes


def _border(sums: _Equations, inverses: Float, damping: float) -> tuple[Float, Float, Float]:
    """What the reduced system has of the lens: with the poses (F, 6, L), with itself (L, L), and the right side
    (L,)."""
    border = sums.pose_lens.copy()
    reduced_lens(sums.observations.starts, sums.observations.frames, sums.mixed, inverses @ sums.point_lens, border)
    eliminated = np.einsum("pil,pij->lpj", sums.point_lens, inverses)
    own = sums.lens + damping * np.diag(np.diag(sums.lens)) - np.einsum("lpj,pjk->lk", eliminated, sums.point_lens)
    return border, own, np.einsum("lpj,pj->l", eliminated, sums.point_gradients) - sums.lens_gradient


def _inverses(points: Float, damping: float) -> Float:
    """Inverses of the damped blocks (P, 3, 3) of points."""
    diagonal = np.einsum("pii->pi", points)
    return np.linalg.inv(points + (damping * diagonal + 1e-9)[:, :, None] * np.eye(3))


def _conjugate_gradients(  # type: ignore[no-untyped-def]
    product, right: Float, preconditioner: Float, tolerance: float = CG_TOLERANCE
) -> Float:
    """The solution (F, 6) of product(x) = right, preconditioned by blocks (F, 6, 6)."""
    x = np.zeros_like(right)
    residual = right.copy()
    scaled = np.einsum("fij,fj->fi", preconditioner, residual)
    direction, size = scaled, float((residual * scaled).sum())
    limit = tolerance**2 * size
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
