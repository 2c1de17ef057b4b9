"""From correspondences to a pose, or to the reason why there is none. The numbers are `geometry.pnp`'s."""

from dataclasses import replace

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.pnp import FEW_PRECISE, MIN_POINTS, Float, Matches, PnpSettings, ransac, settle
from vloc_ros.geometry.rig import RigCamera

ENOUGH = 64  # guided inliers: a dense method's own ones may be a thousand, and are no better for that


def solve_pnp(
    correspondences: Correspondences, cameras: tuple[RigCamera, ...], settings: PnpSettings = FEW_PRECISE
) -> PoseEstimate | Rejection:
    """The pose of the rig that explains the correspondences best. `cameras`: those of their pixels, by view; distortion
    is not applied.

    Rejects fewer than MIN_POINTS correspondences and those that no single pose explains or that leave it undetermined.
    Raises ConfigError for a correspondence of a view that there is no camera of.
    """
    if len(correspondences) < MIN_POINTS:
        return too_few(len(correspondences))
    return _refined(ransac(_matches(correspondences, cameras), cameras, settings), correspondences, cameras, settings)


def too_few(count: int) -> Rejection:
    """No pose from so few correspondences."""
    return Rejection(RejectionReason.TOO_FEW_LANDMARKS, f"{count} landmarks found, a pose needs {MIN_POINTS}")


def solve_near(
    estimate: PoseEstimate,
    correspondences: Correspondences,
    cameras: tuple[RigCamera, ...],
    settings: PnpSettings = FEW_PRECISE,
) -> PoseEstimate:
    """The estimate refined over the correspondences that guided matching found around it, with the evidence that it had
    before; the estimate itself where fewer of them are inliers than it has, and fewer than ENOUGH."""
    result = _refined(estimate.map_from_camera, correspondences, cameras, settings)
    if isinstance(result, Rejection) or result.inliers.sum() < min(ENOUGH, estimate.inliers.sum()):
        return estimate
    return replace(result, unguided=estimate.evidence)


def _refined(
    start: Float, correspondences: Correspondences, cameras: tuple[RigCamera, ...], settings: PnpSettings
) -> PoseEstimate | Rejection:
    """The pose that the start leads to, or why that is none."""
    found = settle(start, _matches(correspondences, cameras), cameras, settings)
    if found.covariance is not None:
        return PoseEstimate(found.map_from_rig, found.covariance, correspondences, found.inliers, found.rmse_px)
    count = int(found.inliers.sum())
    if count < MIN_POINTS:
        why = f"no pose explains more than {count} of {len(correspondences)} landmarks"
    else:
        why = f"{count} inlier landmarks leave the pose undetermined"
    return Rejection(RejectionReason.NO_POSE, why)


def _matches(found: Correspondences, cameras: tuple[RigCamera, ...]) -> Matches:
    if len(found) and (last := int(found.views.max())) >= len(cameras):
        raise ConfigError(f"correspondences: view {last}, of {len(cameras)} from 0")
    return Matches(found.pixels, found.points, found.sigmas, found.views, found.shifts)
