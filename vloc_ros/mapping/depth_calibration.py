"""Depth sensors are biased with range: the correction with which views from afar and from near agree on the surface."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from vloc_ros.datasets.types import Frame
from vloc_ros.datasets.wrapper import DatasetWrapper
from vloc_ros.errors import DatasetError
from vloc_ros.files import write_text
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.depth_views import DepthView, depth_at

Float = NDArray[np.float64]

MAX_PAIRS = 600
MIN_PAIRS, MIN_POINTS, MAX_POINTS = 10, 1000, 100_000
MIN_APPROACH = 0.2  # of the far view's median depth, along its axis: how much nearer the near view is
MIN_AXES_COSINE = 0.8
MAX_RELATIVE_ERROR = 0.15  # beyond it the two views see different surfaces
POSE_SIGMA_M, DISPARITY_SIGMA = 0.01, 0.003  # sigma of a disagreement: the former + the latter (1/m) * depth^2
PRIOR_SIGMA = 0.05  # of scale - 1 and of offset (1/m): what the points do not tell stays near the identity
MIN_GAIN, MIN_GAIN_M = 0.1, 0.001  # by how much the disagreement must fall, relative and absolute


@dataclass(frozen=True)
class DepthCorrection:
    """1 / z' = scale / z + offset (1/m), the error model of disparity, which structured light and stereo measure.

    `points` seen from afar and from near told so; `error_before_m` and `error_after_m` are the median disagreements of
    the two measurements, the latter on other frames than the correction was fitted to. The default is the identity.
    """

    scale: float = 1.0
    offset: float = 0.0
    points: int = 0
    error_before_m: float = 0.0
    error_after_m: float = 0.0

    @property
    def is_identity(self) -> bool:
        return (self.scale, self.offset) == (1.0, 0.0)

    def apply(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """The corrected depth, metres; 0 (unknown) stays 0, and so does what the correction puts beyond infinity."""
        divisor = self.scale + self.offset * depth
        known = (depth > 0) & (divisor > 0) & np.isfinite(depth)
        return np.asarray(np.divide(depth, divisor, out=np.zeros_like(depth), where=known), dtype=np.float32)

    def describe(self) -> str:
        """A person's line about what was found."""
        errors = f"median disagreement {1e3 * self.error_before_m:.0f} mm"
        if self.is_identity:
            return f"depth left as it is: {self.points} points" + (f", {errors}" if self.points else "")
        sign = "-" if self.offset < 0 else "+"
        model = f"1/z' = {self.scale:.3f}/z {sign} {abs(self.offset):.4f}"
        return f"depth corrected: {model} from {self.points} points, {errors} -> {1e3 * self.error_after_m:.0f} mm"

    def save(self, path: Path) -> None:
        """Write it as JSON, all at once. Raises ConfigError when it cannot be written."""
        write_text(path, json.dumps(asdict(self), indent=1) + "\n")

    @staticmethod
    def load(path: Path) -> "DepthCorrection":
        """Read what `save` wrote. Raises DatasetError for a file that is not whole."""
        try:
            return DepthCorrection(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise DatasetError(f"{path}: not a depth correction ({error}); --fresh makes it anew") from error


@dataclass(frozen=True)
class CorrectedDepth(DatasetWrapper):
    """The frames of `parent`, their known depth corrected."""

    correction: DepthCorrection

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        frame = self.parent.frame(index, depth=depth)
        if frame.depth is None or self.correction.is_identity:
            return frame
        return replace(frame, depth=self.correction.apply(frame.depth))


@dataclass(frozen=True, eq=False)
class _Points:
    """Points (N,) that a far view measured at depth `far` and a near view at depth `near`; depth in the near view is
    slope * far + shift by the poses. `groups` numbers the far views."""

    far: Float
    near: Float
    slope: Float
    shift: Float
    groups: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.far)

    def __getitem__(self, mask: NDArray[np.bool_] | slice) -> "_Points":
        return _Points(self.far[mask], self.near[mask], self.slope[mask], self.shift[mask], self.groups[mask])

    def disagreement(self, scale: float, offset: float) -> Float:
        """Signed, in metres along the near view's axis, after a correction."""
        far, near = (z / (scale + offset * z) for z in (self.far, self.near))
        return self.slope * far + self.shift - near


def calibrate_depth(views: Sequence[DepthView]) -> DepthCorrection:
    """Fit the correction to what pairs of frames, one much nearer to the surface, measure of the same points.

    A sensor that is biased puts a surface at different places from different distances; the known poses give the scale.
    The identity where points are too few, or where the correction fitted to one half of the far views is not clearly
    better than none on the other half.
    """
    pairs = _pairs(views)
    parts = [_common_points(views[far], views[near], far) for far, near in pairs]
    if len(parts) < MIN_PAIRS:
        return DepthCorrection()
    columns = np.concatenate(parts)
    far, near, slope, shift, groups = columns[:: 1 + len(columns) // MAX_POINTS].T
    return _calibrate(_Points(far, near, slope, shift, groups.astype(np.intp)))


def _calibrate(points: _Points) -> DepthCorrection:
    views, group = np.unique(points.groups, return_inverse=True)
    if len(points) < MIN_POINTS or len(views) < 2:
        return DepthCorrection(points=len(points))
    odd = group % 2 == 1
    before = float(np.median(np.abs(points.disagreement(1.0, 0.0))))
    held_out = [points[part].disagreement(*_fit(points[~part])) for part in (odd, ~odd)]
    after = float(np.median(np.abs(np.concatenate(held_out))))
    if before - after < max(MIN_GAIN * before, MIN_GAIN_M):
        return DepthCorrection(points=len(points), error_before_m=before, error_after_m=before)
    return DepthCorrection(*_fit(points), len(points), before, after)


def _fit(points: _Points) -> tuple[float, float]:
    """Scale and offset, robustly, each point weighted by the accuracy of its far depth."""
    sigmas = POSE_SIGMA_M + DISPARITY_SIGMA * points.far**2

    def residuals(parameters: Float) -> Float:
        scale, offset = parameters
        return np.append(points.disagreement(scale, offset) / sigmas, (parameters - (1.0, 0.0)) / PRIOR_SIGMA)

    scale, offset = least_squares(residuals, (1.0, 0.0), loss="soft_l1").x
    return float(scale), float(offset)


def _pairs(views: Sequence[DepthView]) -> list[tuple[int, int]]:
    """At most MAX_PAIRS (far, near): near is well before far, and both look much the same way."""
    views_known = [(i, v, float(np.median(v.depth[v.depth > 0]))) for i, v in enumerate(views) if v.depth.any()]
    pairs = []
    for i, far, distance in views_known:
        for k, near, _ in views_known:
            axis = far.map_from_camera[:3, 2]
            approach = axis @ (near.map_from_camera[:3, 3] - far.map_from_camera[:3, 3])
            if approach > MIN_APPROACH * distance and axis @ near.map_from_camera[:3, 2] > MIN_AXES_COSINE:
                pairs.append((i, k))
    return pairs[:: 1 + len(pairs) // MAX_PAIRS]


def _common_points(far: DepthView, near: DepthView, group: int) -> Float:
    """(N, 5) far depth, near depth, slope, shift (see _Points) and `group`, of the points that both views see."""
    near_from_far = invert(near.map_from_camera) @ far.map_from_camera
    known = far.depth > 0
    depth, rays = far.depth[known].astype(np.float64), far.camera.rays()[known]
    points = apply(near_from_far, rays * depth[:, None])
    pixels, _ = near.camera.project(points)
    measured = depth_at(near, pixels)
    same = (measured > 0) & (np.abs(points[:, 2] - measured) < MAX_RELATIVE_ERROR * measured)
    slope = rays[same] @ near_from_far[2, :3]
    shift = np.full(len(slope), near_from_far[2, 3])
    return np.column_stack([depth[same], measured[same], slope, shift, np.full(len(slope), group)])
