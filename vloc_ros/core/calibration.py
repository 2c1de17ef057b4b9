"""What a solved pose says of its own certainty, made believable by what the map's held-out frames showed."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vloc_ros.core.manifest import Calibration
from vloc_ros.core.nearest_view import distance_to_nearest_view
from vloc_ros.core.types import PoseEstimate, worst_sigma
from vloc_ros.geometry.pose_error import RIGHT_POSE
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import Matrix


def calibrated(
    estimate: PoseEstimate,
    calibration: Calibration,
    mapping_views: Matrix,
    cameras: Sequence[RigCamera] = (),
) -> PoseEstimate:
    """The estimate as `solve_pnp` gives it with its covariance calibrated and its confidence set; mapping_views
    (V, 4, 4) of its place. Of several `cameras` the one that is nearest to these counts."""
    poses = [each.map_from_camera(estimate.map_from_camera) for each in cameras] or [estimate.map_from_camera]
    view_distance = min(distance_to_nearest_view(mapping_views, pose) for pose in poses)
    covariance = calibrated_covariance(estimate.covariance, calibration, view_distance)
    return replace(
        estimate, covariance=covariance, confidence=confidence(covariance, estimate.inlier_count, calibration)
    )


def calibrated_covariance(covariance: Matrix, calibration: Calibration, view_distance: float | Matrix) -> Matrix:
    """a^2 (S C S + F) of a covariance (6, 6) in ROS order, S and F the diagonals of scales and squared floors, a what
    the pose's distance from the nearest mapping view (`NearestView.view_distance`) makes of them.

    Of many at once, too: (N, 6, 6) with distances (N, 1, 1). Far from the views that it has learned from a network errs
    in all of an image alike, which the scatter of its correspondences cannot show.
    """
    scales = np.repeat([calibration.position_scale, calibration.rotation_scale], 3)
    floors = np.repeat([calibration.position_floor_m, math.radians(calibration.rotation_floor_deg)], 3)
    growth = 1 + calibration.away_scale * view_distance
    return np.asarray(growth**2 * (covariance * np.outer(scales, scales) + np.diag(floors**2)), dtype=np.float64)


def confidence(covariance: Matrix, inliers: int, calibration: Calibration) -> float:
    """The probability (0 to 1) that a pose of this calibrated covariance is within RIGHT_POSE."""
    weights = (
        calibration.confidence_position_weight,
        calibration.confidence_rotation_weight,
        calibration.confidence_inliers_weight,
    )
    score = calibration.confidence_bias + float(np.dot(weights, confidence_features(covariance, inliers)))
    return 1 / (1 + math.exp(-max(-500.0, min(500.0, score))))


def confidence_features(covariance: Matrix, inliers: int) -> tuple[float, float, float]:
    """What the confidence is a function of, in the order of the weights in `Calibration`."""
    least = 1e-9  # keeps the logarithm of a degenerate covariance finite
    return (
        math.log(max(least, worst_sigma(covariance[:3, :3]) / RIGHT_POSE.metres)),
        math.log(max(least, worst_sigma(covariance[3:, 3:]) / math.radians(RIGHT_POSE.degrees))),
        math.log(max(1, inliers)),
    )
