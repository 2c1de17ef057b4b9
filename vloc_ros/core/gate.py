"""The gate: which solved poses are believed."""

from collections.abc import Iterable

from vloc_ros.core.manifest import GateThresholds, Manifest
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.geometry.extent import Extent
from vloc_ros.geometry.rig import RigCamera


def magnification_of(cameras: Iterable[RigCamera], manifest: Manifest) -> float:
    """How many pixels of a query's images are one of the images that a map was made with, if these are coarser; 1 if
    they are not, and of maps that do not say."""
    if (focal_length_px := manifest.focal_length_px) is None:
        return 1.0
    return max(1.0, *(each.camera.fx / focal_length_px for each in cameras))


def gate(
    estimate: PoseEstimate, thresholds: GateThresholds, extent: Extent | None = None, magnification: float = 1.0
) -> PoseEstimate | Rejection:
    """The calibrated estimate itself, or a rejection that names the first threshold it misses; or that it lies outside
    of the `extent` of its place, if that is known. `magnification`: pixels of the image for one of the thresholds'."""
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
    most_px = magnification * thresholds.max_reprojection_rmse_px
    if estimate.reprojection_rmse_px > most_px:
        return refuse(
            RejectionReason.HIGH_REPROJECTION_ERROR,
            f"reprojection RMSE {estimate.reprojection_rmse_px:.2f} px, above {most_px:.2f} px",
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
