"""How far the newest recording of a place still lies beside the earlier ones, by the points that both observe.

Images that were localized in a map say it to a tenth of a degree: their errors are alike in neighbouring views. Bundle
adjustment knows more, but each pose is held near where it was recorded. Here the recording is moved as a whole to where
its poses were adjusted to, and adjusted again from there, until it stays. Its poses are held as tightly as those of a
map: what one of them may say alone, views would bend to the errors of their key points.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.rigid_alignment import fit_poses
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.bundle_adjustment import adjust, lens_prior, pose_prior
from vloc_ros.mapping.depth_calibration import DepthCorrection
from vloc_ros.mapping.frame_features import DepthFeatures
from vloc_ros.mapping.observations import Observations, depth_weights
from vloc_ros.mapping.reconstruction import Reconstruction

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST_POINTS = 100  # that both sides observe
MAX_ROUNDS = 8
SETTLED_M = 2e-4  # of the recording's cameras, on average


@dataclass(frozen=True, eq=False)
class _Shared:
    """The observations of points at `positions` that both sides observe."""

    observations: Observations
    positions: Float


def place_from_aligned(
    shape: Reconstruction, features: DepthFeatures, correction: DepthCorrection, is_new: Mask
) -> Float:
    """The transform (4, 4) by which the recorded poses of the newest recording's frames, those of `is_new` (F,), have
    to be moved to fit the others; none where both see too few of the same points, or where these do not settle it."""
    shared = _shared(shape, features, correction, is_new)
    moved: Float = np.eye(4)
    if len(shared.positions) < LEAST_POINTS:
        return moved
    poses, positions = shape.map_from_camera, shared.positions
    lens = lens_prior(shared.observations.intrinsics)
    for _ in range(MAX_ROUNDS):
        recorded = np.where(is_new[:, None, None], moved @ shape.recorded, shape.recorded)
        found = adjust(shared.observations, poses, positions, pose_prior(recorded), lens)
        poses, positions = found.map_from_camera, found.positions
        step = _as_a_whole(recorded, poses, is_new)
        moved = step @ moved
        centres = recorded[is_new, :3, 3]
        if np.linalg.norm(apply(step, centres) - centres, axis=1).mean() < SETTLED_M:
            return moved
    return np.eye(4)


def _shared(shape: Reconstruction, features: DepthFeatures, correction: DepthCorrection, is_new: Mask) -> _Shared:
    depths = np.zeros(len(shape.frames))
    for frame in np.unique(shape.frames).tolist():
        rows = shape.frames == frame
        depths[rows] = correction.apply(features.depth(frame).astype(np.float32))[shape.rows[rows]]
    starts = np.searchsorted(shape.points, np.arange(len(shape) + 1)).astype(np.int64)
    of_all = Observations(
        starts, shape.frames, shape.rows.astype(np.int64), shape.pixels, depths, depth_weights(depths), shape.intrinsics
    )
    by_new = np.bincount(shape.points, is_new[shape.frames], minlength=len(shape)) > 0
    by_others = np.bincount(shape.points, ~is_new[shape.frames], minlength=len(shape)) > 0
    return _Shared(of_all.of_points(by_new & by_others), shape.positions[by_new & by_others])


def _as_a_whole(recorded: Float, adjusted: Float, is_new: Mask) -> Float:
    """The motion (4, 4) of the newest recording's poses against that of the others."""
    newest = fit_poses(recorded[is_new], adjusted[is_new])
    others = fit_poses(recorded[~is_new], adjusted[~is_new])
    motion: Float = invert(others) @ newest
    return motion
