"""What the track tells a query before anything is looked at."""

import numpy as np

from vloc_ros.core.manifest import Manifest
from vloc_ros.core.places import map_from_place
from vloc_ros.core.query import Prior
from vloc_ros.core.types import worst_sigma
from vloc_ros.geometry.transforms import Matrix, invert, moved_covariance, turned_covariance
from vloc_ros.tracking.pose_filter import Estimate, FilterOptions, Measurement, begin
from vloc_ros.tracking.track import Fix, TrackingOptions

# A prior that knows less than this narrows no search.
MOST_SIGMA_M, MOST_SIGMA_RAD = 0.5, 0.25


def without_odometry(fix: Fix, stamp_ns: int, options: TrackingOptions) -> Estimate | None:
    """Where a robot without odometry is at a stamp: where it was at its last fix, or as far from there as it may have
    driven, which is three standard deviations. None where the fix has no covariance."""
    if fix.covariance is None:
        return None
    seconds = abs(stamp_ns - fix.stamp_ns) * 1e-9
    metres, radians = options.max_speed_m_per_s * seconds / 3, np.radians(options.max_speed_deg_per_s) * seconds / 3
    covariance = fix.covariance + np.diag(np.repeat([metres, radians], 3) ** 2)
    return begin(Measurement(stamp_ns, fix.map_from_base, np.eye(4), covariance), FilterOptions())


def prior_of(
    estimate: Estimate, base_from_rig: Matrix, floor_from_base: Matrix | None, manifest: Manifest, place: str | None
) -> Prior | None:
    """Where the rig is expected, in the frame of its place; None where that is not known well enough to be worth it.

    `floor_from_base`: what was taken from the last fix to put it on the floor, None where nothing was. Raises
    ConfigError where the map has no such place.
    """
    sigma_m, sigma_rad = worst_sigma(estimate.covariance[:3, :3]), worst_sigma(estimate.covariance[3:, 3:])
    if sigma_m > MOST_SIGMA_M or sigma_rad > MOST_SIGMA_RAD:
        return None
    map_from_base = estimate.map_from_base if floor_from_base is None else estimate.map_from_base @ floor_from_base
    map_from_rig = map_from_base @ base_from_rig
    covariance = moved_covariance(estimate.covariance, map_from_rig[:3, 3] - estimate.map_from_base[:3, 3])
    if (moved := map_from_place(manifest, place)) is not None:
        place_from_map = invert(moved)
        map_from_rig, covariance = place_from_map @ map_from_rig, turned_covariance(covariance, place_from_map)
    return Prior(map_from_rig, covariance, place or "")
