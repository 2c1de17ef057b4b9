"""The gate: which solved poses are believed."""

from vloc_ros.core.manifest import GateThresholds
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.geometry.extent import Extent


def gate(estimate: PoseEstimate, thresholds: GateThresholds, extent: Extent | None = None) -> PoseEstimate | Rejection:
    """The calibrated estimate itself, or a rejection that names the first threshold it misses; or that it lies outside
    of the `extent` of its place, if that is known."""
    assert estimate.confidence is not None  # of a calibrated estimate

    def refuse(reason: RejectionReason, detail: str) -> Rejection:
        return Rejection(reason, detail, refused=estimate, place=estimate.place)

    if estimate.inlier_count < thresholds.min_inliers:
        return refuse(
            RejectionReason.TOO_FEW_INLIERS, f"{estimate.inlier_count} inliers, below {thresholds.min_inliers}"
        )
    if estimate.inlier_ratio < thresholds.min_inlier_ratio:
        return refuse(
            RejectionReason.LOW_INLIER_RATIO,
            f"inlier ratio {estimate.inlier_ratio:.2f} ({estimate.inlier_count} of "
            f"{estimate.evidence.correspondences}), below {thresholds.min_inlier_ratio:.2f}",
        )
    if estimate.reprojection_rmse_px > thresholds.max_reprojection_rmse_px:
        return refuse(
            RejectionReason.HIGH_REPROJECTION_ERROR,
            f"reprojection RMSE {estimate.reprojection_rmse_px:.2f} px, "
            f"above {thresholds.max_reprojection_rmse_px:.2f} px",
        )
    if estimate.confidence < thresholds.min_confidence:
        return refuse(
            RejectionReason.LOW_CONFIDENCE,
            f"confidence {estimate.confidence:.2f}, below {thresholds.min_confidence:.2f} "
            f"(position sigma {100 * estimate.position_sigma_m:.2g} cm, {estimate.inlier_count} inliers)",
        )
    if extent and (outside_m := extent.outside_m(estimate.map_from_camera[:3, 3])):
        return refuse(
            RejectionReason.OUTSIDE_MAP,
            f"{outside_m:.2f} m outside of what the map's views and landmarks span: is the camera's calibration right?",
        )
    return estimate
