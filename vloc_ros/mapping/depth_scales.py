"""How depth and poses agree, frame by frame: where the scale of poses drifts along the way, so must that of depth."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.transforms import invert
from vloc_ros.mapping.frame_features import FrameFeatures
from vloc_ros.mapping.observations import Observations, depth_sigmas

Float = NDArray[np.float64]

MAX_RELATIVE_SIGMA = 0.015  # of a point's distance: rays alone must tell where it is
SHRINKAGE = 20.0  # observations that say 1, beside a frame's own
NORMAL_MAD = 1.4826  # standard deviations in a median absolute deviation


@dataclass(frozen=True, eq=False)
class DepthScales:
    """By what each frame's depth is multiplied (F,), and how many times as large as expected its errors are then."""

    scales: Float
    noise: float

    def applied(self, features: FrameFeatures) -> FrameFeatures:
        """Features with these depths."""
        return replace(features, depths=features.depths * self.scales[features.frames])

    def describe(self) -> str:
        """A person's line."""
        least, most = np.percentile(self.scales, [5, 95])
        return f"depth scaled frame by frame by {least:.3f} to {most:.3f} (5 to 95 %), its noise {self.noise:.1f} times"


def depth_scales(observations: Observations, map_from_camera: Float, positions: Float, sigmas: Float) -> DepthScales:
    """From the depths of points (P, 3) that were triangulated from rays, all but; `sigmas` (P,), metres."""
    depths = camera_depths(observations, map_from_camera, positions)
    good = (observations.depths > 0) & (sigmas[observations.points] < MAX_RELATIVE_SIGMA * depths)
    scales = np.ones(len(map_from_camera))
    if not good.any():
        return DepthScales(scales, 1.0)
    frames, depths, measured = observations.frames[good], depths[good], observations.depths[good]
    order = np.argsort(frames, kind="stable")
    ends = np.searchsorted(frames[order], np.arange(len(scales) + 1))
    for frame in range(len(scales)):
        rows = order[ends[frame] : ends[frame + 1]]
        if len(rows):
            share = len(rows) / (len(rows) + SHRINKAGE)
            scales[frame] = 1 + share * (np.median(depths[rows] / measured[rows]) - 1)
    errors = np.abs(depths - scales[frames] * measured) / depth_sigmas(measured)
    return DepthScales(scales, max(1.0, NORMAL_MAD * float(np.median(errors))))


def camera_depths(observations: Observations, map_from_camera: Float, positions: Float) -> Float:
    """(O,) how far each observed point (P, 3) is from its camera, along the axis."""
    axes = invert(map_from_camera)[observations.frames, 2]
    return np.asarray((axes[:, :3] * positions[observations.points]).sum(axis=1) + axes[:, 3])
