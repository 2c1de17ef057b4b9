"""What frames observe of a place's points, and the residuals of that: pixels, and depth where it was measured."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.mapping.frame_features import FrameFeatures
from vloc_ros.mapping.tracks import Tracks

Float = NDArray[np.float64]

PIXEL_SIGMA = 1.0
DEPTH_SIGMA, DISPARITY_SIGMA = 0.005, 0.003  # of a depth: the former (m) + the latter (1/m) * depth^2
DEPTH_WEIGHT = 0.03  # of a depth's residual, whose errors all points of a view share: it decides what rays leave open
CAUCHY = 2.0  # residuals of so many standard deviations weigh half
MIN_DEPTH_M = 0.05


@dataclass(frozen=True, eq=False)
class Observations:
    """O observations of P points, those of point p from starts[p] to starts[p + 1].

    starts (P + 1,); frames (O,) int32; rows (O,) of FrameFeatures' key points; pixels (O, 2); depths (O,) metres, 0
    where unknown, and `weights` (O,): by what a difference of depths is multiplied to be a residual; intrinsics (6,):
    fx, fy, cx, cy, and k1, k2 of radial distortion, as OpenCV has them.
    """

    starts: NDArray[np.int64]
    frames: NDArray[np.int32]
    rows: NDArray[np.int64]
    pixels: Float
    depths: Float
    weights: Float
    intrinsics: Float

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(P,) of each point."""
        return np.diff(self.starts)

    @property
    def points(self) -> NDArray[np.int64]:
        """(O,) which point each is of."""
        return np.repeat(np.arange(len(self.starts) - 1), self.counts)

    def kept(self, mask: NDArray[np.bool_]) -> "Observations":
        """Those of a mask (O,); the points stay, some perhaps without observations."""
        counts = np.bincount(self.points[mask], minlength=len(self.starts) - 1)
        starts = np.cumsum([0, *counts], dtype=np.int64)
        return replace(
            self, starts=starts, frames=self.frames[mask], rows=self.rows[mask], pixels=self.pixels[mask],
            depths=self.depths[mask], weights=self.weights[mask],
        )  # fmt: skip

    def joined(self, others: "Observations") -> "Observations":
        """These and those of other points, behind these; the intrinsics are these."""
        rest = {
            name: np.concatenate([getattr(self, name), getattr(others, name)])
            for name in ("frames", "rows", "pixels", "depths", "weights")
        }
        return replace(self, starts=np.concatenate([self.starts, self.starts[-1] + others.starts[1:]]), **rest)

    def of_points(self, mask: NDArray[np.bool_]) -> "Observations":
        """Those of the points of a mask (P,), which are numbered anew."""
        kept = self.kept(np.repeat(mask, self.counts))
        return replace(kept, starts=np.cumsum([0, *self.counts[mask]], dtype=np.int64))


def observations_of(tracks: Tracks, features: FrameFeatures) -> Observations:
    """The key points of tracks."""
    rows = tracks.rows
    depths = features.depths[rows]
    return Observations(
        tracks.starts, features.frames[rows], rows, features.pixels[rows], depths, depth_weights(depths),
        np.array([*features.intrinsics, 0.0, 0.0]),
    )  # fmt: skip


def depth_weights(depths: Float) -> Float:
    """(O,) as `Observations.weights`, of depths (O,)."""
    return np.where(depths > 0, DEPTH_WEIGHT / (DEPTH_SIGMA + DISPARITY_SIGMA * depths**2), 0.0)


@compiled(error_model="numpy")
def residuals_of(
    camera_from_map: Float, x: float, y: float, z: float, pixels: Float, depth: float, weight: float,
    intrinsics: Float, residuals: Float, jacobian: Float,
) -> None:  # fmt: skip
    """Fill `residuals` (3,) and their derivatives by the point, `jacobian` (3, 3), of one observation of the point
    (x, y, z): two of the pixel, in PIXEL_SIGMA, and one of the depth, times `weight`."""
    m = camera_from_map
    px = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
    py = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
    pz = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
    safe = max(pz, MIN_DEPTH_M)
    slope_x, slope_y = px / safe, py / safe
    squared = slope_x * slope_x + slope_y * slope_y
    radial = 1.0 + squared * (intrinsics[4] + squared * intrinsics[5])
    growth = 2.0 * (intrinsics[4] + 2.0 * squared * intrinsics[5])  # of `radial` with half of `squared`
    residuals[0] = (intrinsics[0] * slope_x * radial + intrinsics[2] - pixels[0]) / PIXEL_SIGMA
    residuals[1] = (intrinsics[1] * slope_y * radial + intrinsics[3] - pixels[1]) / PIXEL_SIGMA
    residuals[2] = weight * (pz - depth)
    for k in range(3):
        by_x, by_y = (m[0, k] - slope_x * m[2, k]) / safe, (m[1, k] - slope_y * m[2, k]) / safe
        outward = growth * (slope_x * by_x + slope_y * by_y)
        jacobian[0, k] = intrinsics[0] / PIXEL_SIGMA * (radial * by_x + slope_x * outward)
        jacobian[1, k] = intrinsics[1] / PIXEL_SIGMA * (radial * by_y + slope_y * outward)
        jacobian[2, k] = weight * m[2, k]


def reprojection_errors(observations: Observations, camera_from_map: Float, positions: Float) -> Float:
    """(O,) pixels; infinite for a point that is not before the camera."""
    poses = camera_from_map[observations.frames]
    local = np.einsum("oij,oj->oi", poses[:, :3, :3], positions[observations.points]) + poses[:, :3, 3]
    before = local[:, 2] > MIN_DEPTH_M
    slopes = local[:, :2] / np.where(before, local[:, 2], 1.0)[:, None]
    fx, fy, cx, cy, k1, k2 = observations.intrinsics
    squared = (slopes**2).sum(axis=1, keepdims=True)
    projected = slopes * (1 + squared * (k1 + squared * k2)) * (fx, fy) + (cx, cy)
    return np.where(before, np.linalg.norm(projected - observations.pixels, axis=1), np.inf)
