"""The gate: which solved poses are believed."""

import math

from vloc_ros.core.manifest import GateThresholds
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason


def gate(estimate: PoseEstimate, thresholds: GateThresholds) -> PoseEstimate | Rejection:
    """The estimate itself, or a rejection that names the first threshold it misses."""
    position_sigma_m = estimate.position_sigma_m
    rotation_sigma_deg = math.degrees(estimate.rotation_sigma_rad)
    if estimate.inlier_count < thresholds.min_inliers:
        return Rejection(
            RejectionReason.TOO_FEW_INLIERS, f"{estimate.inlier_count} inliers, below {thresholds.min_inliers}"
        )
    if estimate.inlier_ratio < thresholds.min_inlier_ratio:
        return Rejection(
            RejectionReason.LOW_INLIER_RATIO,
            f"inlier ratio {estimate.inlier_ratio:.2f} ({estimate.inlier_count} of {len(estimate.inliers)}), "
            f"below {thresholds.min_inlier_ratio:.2f}",
        )
    if estimate.reprojection_rmse_px > thresholds.max_reprojection_rmse_px:
        return Rejection(
            RejectionReason.HIGH_REPROJECTION_ERROR,
            f"reprojection RMSE {estimate.reprojection_rmse_px:.2f} px, "
            f"above {thresholds.max_reprojection_rmse_px:.2f} px",
        )
    if position_sigma_m > thresholds.max_position_sigma_m:
        return Rejection(
            RejectionReason.HIGH_UNCERTAINTY,
            f"position sigma {position_sigma_m:.3g} m, above {thresholds.max_position_sigma_m:.3g} m",
        )
    if rotation_sigma_deg > thresholds.max_rotation_sigma_deg:
        return Rejection(
            RejectionReason.HIGH_UNCERTAINTY,
            f"rotation sigma {rotation_sigma_deg:.3g} deg, above {thresholds.max_rotation_sigma_deg:.3g} deg",
        )
    return estimate
