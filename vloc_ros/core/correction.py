"""Poses are moved by what their map is off by at them."""

from dataclasses import replace

import numpy as np

from vloc_ros.core.correction_field import CorrectionField
from vloc_ros.core.types import PoseEstimate
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.rig import RigCamera, camera_step_from_rig_step


def corrected(estimate: PoseEstimate, field: CorrectionField | None, cameras: tuple[RigCamera, ...]) -> PoseEstimate:
    """The estimate with its pose corrected by the `field` of its place, itself without one. All else stays: inliers and
    their error are those of the pose that was solved.

    Of several `cameras` each says how it would move the rig, weighted by its inliers.
    """
    if field is None:
        return estimate
    rig = estimate.map_from_camera
    counts = np.bincount(estimate.correspondences.views[estimate.inliers], minlength=len(cameras))
    shares = counts / max(1, counts.sum())
    step = np.zeros(6)
    for each, share in zip(cameras, shares, strict=True):
        pose = each.map_from_camera(rig)
        step += share * (camera_step_from_rig_step(pose, rig) @ field.step(pose))
    return replace(estimate, map_from_camera=perturb(rig, step))
