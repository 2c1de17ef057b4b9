"""From pixels and map points to a pose with covariance: LO-RANSAC by PoseLib, then weighted refinement.

Of one camera, or of several on a rig (generalized PnP): the pose is the rig's, and a camera alone is its own rig.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import poselib
from numpy.typing import NDArray

from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.pose_refinement import Sight, refine
from vloc_ros.geometry.rig import RigCamera
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


@dataclass(frozen=True, eq=False)
class Matches:
    """Pixels (N, 2) of undistorted images, the map points (N, 3) seen there in metres, the pixels' standard deviations
    (N,) per axis, the index (N,) of the camera of each, and its `shifts` (N, 2) in pixels where the map's point is off
    by one standard deviation: the larger of both is a residual's standard deviation along the shift. An empty array
    stands for zeros."""

    pixels: Float
    points: Float
    sigmas: Float
    views: NDArray[np.int32]
    shifts: Float = field(default_factory=lambda: np.empty((0, 2)))

    def __post_init__(self) -> None:
        if not len(self.shifts):
            object.__setattr__(self, "shifts", np.zeros((len(self.pixels), 2)))

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Matches":
        return Matches(self.pixels[rows], self.points[rows], self.sigmas[rows], self.views[rows], self.shifts[rows])

    @property
    def excess(self) -> Float:
        """(N, 1) The variance along a shift beyond that of the pixel, in units of it. Where shifts are small, points
        and pixels are off together: the point is where pixels like this one have put it."""
        excess: Float = (self.shifts**2).sum(axis=1, keepdims=True) / self.sigmas[:, None] ** 2 - 1
        return np.maximum(excess, 0.0)

    @property
    def spreads(self) -> Float:
        """(N,) The standard deviation of a residual, the mean of both axes."""
        spreads: Float = self.sigmas * np.sqrt(1 + self.excess[:, 0] / 2)
        return spreads

    @property
    def flattening(self) -> Float:
        """Vectors f (N, 2) that make residuals r in sigmas those of unit covariance: r - f (f . r)."""
        # With the excess e along a unit vector n, (I + e n n^T)^-1/2 = I - n n^T (1 - 1 / sqrt(1 + e)).
        lengths = np.linalg.norm(self.shifts, axis=1, keepdims=True)
        flattening: Float = self.shifts / np.maximum(lengths, 1e-12) * np.sqrt(1 - 1 / np.sqrt(1 + self.excess))
        return flattening


@dataclass(frozen=True, eq=False)
class PnpSolution:
    """A pose (4, 4) of the rig, its covariance (6, 6) in ROS order, None where the matches leave the pose undetermined
    or are too few; which of them are inliers, and the inliers' root mean square error in pixels."""

    map_from_rig: Float
    covariance: Float | None
    inliers: NDArray[np.bool_]
    rmse_px: float = np.inf


def ransac(matches: Matches, cameras: tuple[RigCamera, ...], settings: PnpSettings) -> Float:
    """map_from_rig by LO-RANSAC over the most certain matches. The same input gives the same output; of several cameras
    but for the last bits, in which PoseLib differs from run to run."""
    options: dict[str, float] = {
        "min_iterations": settings.min_iterations,
        "max_iterations": settings.max_iterations,
        "seed": 0,
    }
    chosen = _most_certain(matches, cameras, settings.ransac_points)
    seen = [index for index in range(len(cameras)) if len(cameras) == 1 or (chosen.views == index).any()]
    if len(seen) > 1:
        return _generalized(chosen, [(cameras[index], chosen.views == index) for index in seen], settings, options)
    rig_camera = cameras[seen[0]]
    options["max_reproj_error"] = _max_error_px(rig_camera.camera, settings)
    pose, _ = poselib.estimate_absolute_pose(chosen.pixels, chosen.points, _pinhole(rig_camera.camera), options, {})
    map_from_camera = invert(np.vstack([pose.Rt, [0.0, 0.0, 0.0, 1.0]]))
    return map_from_camera if rig_camera.is_rig else map_from_camera @ invert(rig_camera.rig_from_camera)


def settle(start: Float, matches: Matches, cameras: tuple[RigCamera, ...], settings: PnpSettings) -> PnpSolution:
    """Choose inliers and refine the pose over them in turn, from the pose `start` on, until they settle.

    The covariance is s^2 (J^T W J)^-1 of the last refinement, W the inverse pixel variances times robust weights, s^2 =
    max(1, chi^2 / degrees of freedom): sigmas that turn out too small give no overconfident pose.
    """
    limits = np.array([_max_error_px(each.camera, settings) for each in cameras])
    limit = limits[0] if len(cameras) == 1 else limits[matches.views]
    pose, errors = start, reprojection_errors(start, matches, cameras)
    inliers, covariance = errors <= limit, None
    for _ in range(MAX_ROUNDS):
        if inliers.sum() < MIN_POINTS:
            return PnpSolution(pose, None, inliers)
        pose, covariance = _refined(pose, matches[inliers], errors[inliers], cameras)
        if covariance is None:
            return PnpSolution(pose, None, inliers)
        errors = reprojection_errors(pose, matches, cameras)
        before, inliers = inliers, errors <= limit
        if np.array_equal(inliers, before):
            break
    rmse_px = float(np.sqrt(np.mean(errors[inliers] ** 2))) if inliers.any() else float(limits.max())
    return PnpSolution(pose, covariance, inliers, rmse_px)


def reprojection_errors(map_from_rig: Float, matches: Matches, cameras: tuple[RigCamera, ...]) -> Float:
    """Distance in pixels (N,) between pixels (N, 2) and projected map points (N, 3); inf behind the camera."""
    if len(cameras) == 1:
        return _errors(cameras[0].map_from_camera(map_from_rig), matches.pixels, matches.points, cameras[0].camera)
    errors = np.empty(len(matches.pixels))
    for index, each in enumerate(cameras):
        rows = matches.views == index
        pose = each.map_from_camera(map_from_rig)
        errors[rows] = _errors(pose, matches.pixels[rows], matches.points[rows], each.camera)
    return errors


def _errors(map_from_camera: Float, pixels: Float, points: Float, camera: Camera) -> Float:
    projected, _ = camera.project(apply(invert(map_from_camera), points))
    offsets = projected - pixels
    errors: Float = np.sqrt(offsets[:, 0] ** 2 + offsets[:, 1] ** 2)
    errors[np.isnan(errors)] = np.inf
    return errors


def _max_error_px(camera: Camera, settings: PnpSettings) -> float:
    return settings.max_inlier_angle_rad * float(np.sqrt(camera.fx * camera.fy))


def _pinhole(camera: Camera) -> dict[str, Any]:
    return {
        "model": "PINHOLE",
        "width": camera.width,
        "height": camera.height,
        "params": [camera.fx, camera.fy, camera.cx, camera.cy],
    }


def _generalized(
    matches: Matches,
    views: list[tuple[RigCamera, NDArray[np.bool_]]],
    settings: PnpSettings,
    options: dict[str, float],
) -> Float:
    """map_from_rig of matches in several views, `views` which of them are whose. Lengths in images are in focal
    lengths, so that one threshold suits all cameras."""
    unit = {"model": "PINHOLE", "width": 2, "height": 2, "params": [1.0, 1.0, 0.0, 0.0]}
    pixels, camera_from_rig = [], []
    for each, rows in views:
        camera, pose = each.camera, poselib.CameraPose()
        pixels.append((matches.pixels[rows] - (camera.cx, camera.cy)) / (camera.fx, camera.fy))
        inverse = invert(each.rig_from_camera)
        pose.R, pose.t = inverse[:3, :3], inverse[:3, 3]
        camera_from_rig.append(pose)
    found, _ = poselib.estimate_generalized_absolute_pose(
        pixels,
        [matches.points[rows] for _, rows in views],
        camera_from_rig,
        [unit] * len(views),
        {**options, "max_reproj_error": settings.max_inlier_angle_rad},
        {},
    )
    return invert(np.vstack([found.Rt, [0.0, 0.0, 0.0, 1.0]]))


def _most_certain(matches: Matches, cameras: tuple[RigCamera, ...], count: int) -> Matches:
    """The `count` of least sigma, in their order; of equal ones some from all over the image, always the same."""
    sigmas = matches.sigmas
    if len(cameras) > 1:  # as angles
        sigmas = sigmas / np.array([np.sqrt(each.camera.fx * each.camera.fy) for each in cameras])[matches.views]
    order = _scattered(len(sigmas))
    least = np.argsort(sigmas[order], kind="stable")[:count]
    return matches[np.sort(order[least])]


@lru_cache(maxsize=64)
def _scattered(count: int) -> NDArray[np.int64]:
    """All indices below `count` in an order that looks random and is always the same."""
    return np.random.default_rng(0).permutation(count)


def _refined(
    start: Float, inliers: Matches, errors: Float, cameras: tuple[RigCamera, ...]
) -> tuple[Float, Float | None]:
    """(map_from_rig, covariance) of the Cauchy cost's minimum over the inliers; no covariance where the pose is
    undetermined. `errors` (N,): the reprojection errors at the start."""
    # Sigmas may be too small as a whole: what is an outlier is judged by how far the residuals really scatter.
    scale = CAUCHY * max(1.0, float(np.median(errors / inliers.spreads)) / RAYLEIGH_MEDIAN)
    pose, information, chi2 = refine(start, _sights(inliers, cameras), scale)
    degrees_of_freedom = 2 * len(errors) - 6
    inverse = _inverse(information)
    return pose, None if inverse is None else inverse * max(1.0, chi2 / degrees_of_freedom)


def _sights(matches: Matches, cameras: tuple[RigCamera, ...]) -> list[Sight]:
    """The matches by camera."""
    if len(cameras) == 1:
        return [_sight(cameras[0], matches)]
    parts = ((each, matches[matches.views == index]) for index, each in enumerate(cameras))
    return [_sight(each, part) for each, part in parts if len(part.sigmas)]


def _sight(rig_camera: RigCamera, matches: Matches) -> Sight:
    return Sight(rig_camera, matches.pixels, matches.points, matches.sigmas, matches.flattening)


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
