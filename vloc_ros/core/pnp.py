"""From 2-D to 3-D correspondences to a pose with covariance: LO-RANSAC by PoseLib, then weighted refinement."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import poselib
from numpy.typing import NDArray

from vloc_ros.core.types import Correspondences, PoseEstimate, Rejection, RejectionReason
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.pose_refinement import refine
from vloc_ros.geometry.transforms import apply, invert

Float = NDArray[np.float64]

MIN_POINTS = 4  # three give a pose, the fourth tells which and leaves something to judge it by
CAUCHY = 2.5  # residuals of so many standard deviations weigh half
RAYLEIGH_MEDIAN = float(np.sqrt(2 * np.log(2)))  # of the length of a 2-D residual of unit variance per axis
MAX_ROUNDS = 3  # of choosing inliers and refining; later ones change nothing that can be measured
MIN_CONDITION = 1e-12  # smaller over larger eigenvalue of the scaled information matrix


@dataclass(frozen=True)
class PnpSettings:
    """What finds the start: the defaults are for few, precise correspondences, a method may have its own.

    max_inlier_angle_rad: an inlier is off by less, whatever the resolution; the default is 8 px of a Kinect image.
    ransac_points: only so many, the most certain ones, make hypotheses. Between min_iterations and max_iterations it is
    PoseLib's stopping rule that decides; with it 30 % inliers need about 1000. Raises ConfigError for what makes no
    sense.
    """

    max_inlier_angle_rad: float = 0.015
    ransac_points: int = 100  # more cost time and find no better start
    min_iterations: int = 20
    max_iterations: int = 10000

    def __post_init__(self) -> None:
        if not 0 < self.max_inlier_angle_rad < 1:
            raise ConfigError(f"pnp: max_inlier_angle_rad is {self.max_inlier_angle_rad}, must be in 0 .. 1")
        if self.ransac_points < MIN_POINTS:
            raise ConfigError(f"pnp: ransac_points is {self.ransac_points}, a pose needs {MIN_POINTS}")
        if not 1 <= self.min_iterations <= self.max_iterations:
            raise ConfigError(f"pnp: {self.min_iterations} to {self.max_iterations} iterations make no sense")


FEW_PRECISE = PnpSettings()


def solve_pnp(
    correspondences: Correspondences, camera: Camera, settings: PnpSettings = FEW_PRECISE
) -> PoseEstimate | Rejection:
    """The pose that explains the correspondences best. `camera` is that of their pixels; its distortion is not applied.

    Inliers are chosen and the pose is refined over them in turn, until they settle. The covariance is s^2 (J^T W J)^-1
    of the last refinement, W the inverse pixel variances times robust weights, s^2 = max(1, chi^2 / degrees of
    freedom): sigmas that turn out too small give no overconfident pose.
    Rejects fewer than MIN_POINTS correspondences and those that no single pose explains or that leave it undetermined.
    """
    if len(correspondences) < MIN_POINTS:
        return Rejection(
            RejectionReason.TOO_FEW_LANDMARKS, f"{len(correspondences)} landmarks found, a pose needs {MIN_POINTS}"
        )
    max_error_px = settings.max_inlier_angle_rad * float(np.sqrt(camera.fx * camera.fy))
    start = _ransac(_most_certain(correspondences, settings.ransac_points), camera, max_error_px, settings)
    return _settled(start, correspondences, camera, max_error_px)


def reprojection_errors(map_from_camera: Float, correspondences: Correspondences, camera: Camera) -> Float:
    """Distance in pixels (N,) between pixels (N, 2) and projected map points (N, 3); inf behind the camera."""
    projected, _ = camera.project(apply(invert(map_from_camera), correspondences.points))
    offsets = projected - correspondences.pixels
    errors: Float = np.sqrt(offsets[:, 0] ** 2 + offsets[:, 1] ** 2)
    errors[np.isnan(errors)] = np.inf
    return errors


def _most_certain(correspondences: Correspondences, count: int) -> Correspondences:
    """The `count` of least sigma, in their order; of equal ones some from all over the image, always the same."""
    order = _scattered(len(correspondences))
    least = np.argsort(correspondences.sigmas[order], kind="stable")[:count]
    return correspondences[np.sort(order[least])]


@lru_cache(maxsize=64)
def _scattered(count: int) -> NDArray[np.int64]:
    """All indices below `count` in an order that looks random and is always the same."""
    return np.random.default_rng(0).permutation(count)


def _ransac(correspondences: Correspondences, camera: Camera, max_error_px: float, settings: PnpSettings) -> Float:
    """map_from_camera by LO-RANSAC; the same input gives the same output."""
    pinhole = {
        "model": "PINHOLE",
        "width": camera.width,
        "height": camera.height,
        "params": [camera.fx, camera.fy, camera.cx, camera.cy],
    }
    pose, _ = poselib.estimate_absolute_pose(
        correspondences.pixels,
        correspondences.points,
        pinhole,
        {
            "min_iterations": settings.min_iterations,
            "max_iterations": settings.max_iterations,
            "max_reproj_error": max_error_px,
            "seed": 0,
        },
        {},
    )
    return invert(np.vstack([pose.Rt, [0.0, 0.0, 0.0, 1.0]]))


def _settled(
    pose: Float, correspondences: Correspondences, camera: Camera, max_error_px: float
) -> PoseEstimate | Rejection:
    errors, covariance = reprojection_errors(pose, correspondences, camera), None
    inliers = errors <= max_error_px
    for _ in range(MAX_ROUNDS):
        if inliers.sum() < MIN_POINTS:
            return Rejection(
                RejectionReason.NO_POSE, f"no pose explains more than {int(inliers.sum())} of {len(inliers)} landmarks"
            )
        pose, covariance = _refine(pose, correspondences, inliers, errors, camera)
        if covariance is None:
            return Rejection(
                RejectionReason.NO_POSE, f"{int(inliers.sum())} inlier landmarks leave the pose undetermined"
            )
        errors = reprojection_errors(pose, correspondences, camera)
        before, inliers = inliers, errors <= max_error_px
        if np.array_equal(inliers, before):
            break
    assert covariance is not None
    rmse_px = float(np.sqrt(np.mean(errors[inliers] ** 2))) if inliers.any() else float(max_error_px)
    return PoseEstimate(pose, covariance, correspondences, inliers, rmse_px)


def _refine(
    start: Float, correspondences: Correspondences, inliers: NDArray[np.bool_], errors: Float, camera: Camera
) -> tuple[Float, Float | None]:
    """(map_from_camera, covariance) of the Cauchy cost's minimum over the inliers; no covariance where the pose is
    undetermined. `errors` (N,): the reprojection errors at the start."""
    sigmas = correspondences.sigmas[inliers]
    # Sigmas may be too small as a whole: what is an outlier is judged by how far the residuals really scatter.
    scale = CAUCHY * max(1.0, float(np.median(errors[inliers] / sigmas)) / RAYLEIGH_MEDIAN)
    intrinsics = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
    pose, information, chi2 = refine(
        start, correspondences.pixels[inliers], correspondences.points[inliers], sigmas, intrinsics, scale
    )
    degrees_of_freedom = 2 * len(sigmas) - 6
    inverse = _inverse(information)
    return pose, None if inverse is None else inverse * max(1.0, chi2 / degrees_of_freedom)


def _inverse(information: Float) -> Float | None:
    """Inverse of a positive definite matrix; None if it is singular to working precision."""
    diagonal = np.sqrt(np.maximum(np.diag(information), 0.0))
    if not np.isfinite(information).all() or diagonal.min() <= 0:
        return None
    units = np.outer(diagonal, diagonal)  # makes metres and radians comparable
    values, vectors = np.linalg.eigh(information / units)
    if values[0] <= MIN_CONDITION * values[-1]:
        return None
    inverse: Float = (vectors / values) @ vectors.T / units
    return inverse
