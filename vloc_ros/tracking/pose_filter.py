"""An error-state Kalman filter of where the robot is: moved on by odometry, corrected by fixes.

The error (14,) of an estimate is, in this order, that of the pose of the base (metres and a rotation vector along the
map's axes, the order of a ROS covariance and of `perturb`), the slowly changing part of the fixes' errors in their
standard deviations (6), and what odometry gets wrong of distances and headings (2). Pure functions on frozen values.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from vloc_ros.geometry.pose_error import error_vector
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.transforms import Matrix, invert, rotation_angle, skew, turned_covariance
from vloc_ros.tracking.models import FixErrorModel, OdometryNoise
from vloc_ros.tracking.odometry_covariance import OdometryCovariances

POSE, FIX_ERROR, SCALE, PULL = slice(0, 6), slice(6, 12), 12, 13
SIZE = 14
DEGREES_OF_FREEDOM = 5.0  # of Student's t: that of the covariances' calibration
LEAST_KEPT = 1e-3  # of a correlation; after such a way, every fix is the surest
FORWARD, UP = 0, 2  # axes of the base (REP-103)


@dataclass(frozen=True)
class FilterOptions:
    """The models of the filter. `said`: what odometry says itself of what is new at every step; None where it does
    not."""

    odometry: OdometryNoise = field(default_factory=OdometryNoise)
    fixes: FixErrorModel = field(default_factory=FixErrorModel)
    said: OdometryCovariances | None = None


@dataclass(frozen=True, eq=False)
class Measurement:
    """A fix as the filter takes it: `map_from_base` and `odom_from_base` (4, 4) at a stamp, and the `covariance` (6, 6)
    of the first, in ROS order."""

    stamp_ns: int
    map_from_base: Matrix
    odom_from_base: Matrix
    covariance: Matrix


@dataclass(frozen=True, eq=False)
class Estimate:
    """Where the robot was at a stamp, and what is known besides.

    `map_from_base` and `odom_from_base` (4, 4); `fix_error` (6,): the slow part of the fixes' errors, in their standard
    deviations, whose correlations (6, 6) are those of the last fix, `alike`; `surest` (6,): the standard deviations of
    the surest fix nearby; `scale` and `pull_rad_per_m`: what odometry gets wrong; `whole_covariance` (14, 14) of all of
    them.
    """

    stamp_ns: int
    map_from_base: Matrix
    odom_from_base: Matrix
    whole_covariance: Matrix
    fix_error: Matrix
    alike: Matrix
    surest: Matrix
    scale: float = 0.0
    pull_rad_per_m: float = 0.0

    @property
    def covariance(self) -> Matrix:
        """(6, 6) of the pose of the base, in ROS order."""
        return np.asarray(self.whole_covariance[POSE, POSE])

    @property
    def map_from_odom(self) -> Matrix:
        """(4, 4): the drift of the odometry."""
        drift: Matrix = self.map_from_base @ invert(self.odom_from_base)
        return drift


def begin(fix: Measurement, options: FilterOptions, before: Estimate | None = None) -> Estimate:
    """The estimate that a fix is by itself. What was learned of the odometry `before` is kept: a robot that is found
    elsewhere has the same wheels."""
    deviations, alike = _deviations(fix.covariance)
    shared = math.sqrt(options.fixes.shared) * deviations[:, None] * alike
    covariance = np.zeros((SIZE, SIZE))
    covariance[POSE, POSE], covariance[FIX_ERROR, FIX_ERROR] = fix.covariance, alike
    # The pose is off by minus the fix's error: if that is large, so is the first.
    covariance[POSE, FIX_ERROR], covariance[FIX_ERROR, POSE] = -shared, -shared.T
    if before is None:
        covariance[SCALE, SCALE], covariance[PULL, PULL] = options.odometry.scale**2, options.odometry.pull_rad_per_m**2
    else:
        covariance[SCALE:, SCALE:] = before.whole_covariance[SCALE:, SCALE:]
    return Estimate(
        fix.stamp_ns,
        fix.map_from_base,
        fix.odom_from_base,
        covariance,
        np.zeros(6),
        alike,
        deviations,
        *((before.scale, before.pull_rad_per_m) if before else ()),
    )


def predicted(estimate: Estimate, stamp_ns: int, odom_from_base: Matrix, options: FilterOptions) -> Estimate:
    """The estimate moved to another stamp, before or after, by odometry."""
    step = invert(estimate.odom_from_base) @ odom_from_base
    ahead, length = step[:3, 3], float(np.linalg.norm(step[:3, 3]))
    angle = rotation_angle(np.eye(3), step[:3, :3])
    driven = math.copysign(length, ahead[FORWARD])  # a robot that pulls to the left does so the other way in reverse
    motion = step.copy()
    motion[:3, 3] *= 1 + estimate.scale
    map_from_base = estimate.map_from_base @ motion @ _turned(UP, estimate.pull_rad_per_m * driven)

    transition = np.eye(SIZE)
    transition[:3, 3:6] = -skew(estimate.map_from_base[:3, :3] @ motion[:3, 3])
    transition[:3, SCALE] = estimate.map_from_base[:3, :3] @ ahead
    transition[3:6, PULL] = map_from_base[:3, UP] * driven
    kept = options.fixes.correlation(length, angle)
    steady = math.exp(-length / options.odometry.steady_m)
    transition[FIX_ERROR, FIX_ERROR] *= kept
    transition[SCALE, SCALE] = transition[PULL, PULL] = steady
    covariance = transition @ estimate.whole_covariance @ transition.T
    covariance[POSE, POSE] += _step_noise(estimate, stamp_ns, options, length, angle)
    covariance[SCALE, SCALE] += (1 - steady**2) * options.odometry.scale**2
    covariance[PULL, PULL] += (1 - steady**2) * options.odometry.pull_rad_per_m**2
    covariance[FIX_ERROR, FIX_ERROR] += (1 - kept**2) * estimate.alike
    return replace(
        estimate,
        stamp_ns=stamp_ns,
        map_from_base=map_from_base,
        odom_from_base=odom_from_base,
        whole_covariance=covariance,
        fix_error=kept * estimate.fix_error,
        surest=estimate.surest / max(kept, LEAST_KEPT),
        scale=steady * estimate.scale,
        pull_rad_per_m=steady * estimate.pull_rad_per_m,
    )


def corrected(estimate: Estimate, fix: Measurement, options: FilterOptions) -> Estimate:
    """The estimate after a fix of its own stamp.

    A fix that is farther off than expected counts for less, as errors of Student's t have it, and what it is believed
    to share with the ones before counts for nothing then: half of its image may have been covered meanwhile.
    """
    innovation, sight, noise, alike = _compared(estimate, fix, options)
    covariance = estimate.whole_covariance
    surprise = innovation @ np.linalg.solve(sight @ covariance @ sight.T + noise, innovation)
    noise = noise + max(0.0, float(surprise - 6) / (DEGREES_OF_FREEDOM + 6)) * fix.covariance
    gain = np.linalg.solve(sight @ covariance @ sight.T + noise, sight @ covariance).T
    step, left = gain @ innovation, np.eye(SIZE) - gain @ sight
    covariance = left @ covariance @ left.T + gain @ noise @ gain.T  # Joseph's form: stays positive definite
    return replace(
        estimate,
        map_from_base=perturb(estimate.map_from_base, step[POSE]),
        whole_covariance=(covariance + covariance.T) / 2,
        fix_error=estimate.fix_error + step[FIX_ERROR],
        alike=alike,
        surest=_likeness(estimate, fix) * np.sqrt(np.diag(fix.covariance)),
        scale=estimate.scale + float(step[SCALE]),
        pull_rad_per_m=estimate.pull_rad_per_m + float(step[PULL]),
    )


def chi_square(estimate: Estimate, fix: Measurement) -> float:
    """How far a fix is from an estimate of its stamp: the square of the distance in standard deviations, of six degrees
    of freedom.

    As if its error were new: errors that are alike would allow for less, but while a robot stands, whoever walks
    through its images may change them at once.
    """
    innovation = error_vector(fix.map_from_base, estimate.map_from_base)
    return float(innovation @ np.linalg.solve(estimate.covariance + fix.covariance, innovation))


def _compared(estimate: Estimate, fix: Measurement, options: FilterOptions) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """By what a fix differs (6,), what of the error it sees (6, 14), its own noise (6, 6), and how its errors belong
    together (6, 6)."""
    deviations, alike = _deviations(fix.covariance)
    shared = options.fixes.shared * _likeness(estimate, fix) ** 2
    sight = np.zeros((6, SIZE))
    sight[:, POSE] = np.eye(6)
    sight[:, FIX_ERROR] = math.sqrt(shared) * np.diag(deviations)
    innovation = error_vector(fix.map_from_base, estimate.map_from_base) - sight[:, FIX_ERROR] @ estimate.fix_error
    return innovation, sight, (1 - shared) * fix.covariance, alike


def _likeness(estimate: Estimate, fix: Measurement) -> float:
    """How much surer the surest fix nearby was than this one, 1 for one that is as sure.

    What fixes share is the map's error, and as large in all of them: whoever sees fewer landmarks, because a hand is in
    the image, has more error of its own, not more of the map's.
    """
    ratios = estimate.surest / np.sqrt(np.diag(fix.covariance))
    return float(np.exp(min(0.0, float(np.mean(np.log(ratios))))))


def _deviations(covariance: Matrix) -> tuple[Matrix, Matrix]:
    """Standard deviations (6,) and correlations (6, 6)."""
    deviations = np.sqrt(np.diag(covariance))
    return deviations, covariance / np.outer(deviations, deviations)


def _step_noise(estimate: Estimate, stamp_ns: int, options: FilterOptions, length_m: float, angle_rad: float) -> Matrix:
    """What is new in a step of the odometry (6, 6): as odometry says itself, or by the options."""
    odometry = options.odometry
    rotation = odometry.rotation_rad**2 * length_m + odometry.turn_rad**2 * angle_rad
    variances = np.repeat([odometry.position_m**2 * length_m, rotation], 3)
    said = options.said.between(estimate.stamp_ns, stamp_ns) if options.said else None
    return np.diag(variances) if said is None else turned_covariance(said.filled(variances), estimate.map_from_odom)


def _turned(axis: int, angle: float) -> Matrix:
    """A turn about an axis of the base."""
    step = np.zeros(6)
    step[3 + axis] = angle
    return perturb(np.eye(4), step)
