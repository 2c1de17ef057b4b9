"""Depth sensors are biased with range: the correction that makes measured depth agree with the poses, by triangulation."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from vloc_ros.core.camera import Camera
from vloc_ros.core.transforms import invert
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.errors import DatasetError
from vloc_ros.mapping import Progress, no_progress

Float = NDArray[np.float64]

MAX_PAIRS = 80
MIN_PAIRS, MIN_POINTS = 6, 300
MIN_BASELINE, MAX_BASELINE = 0.05, 0.2  # relative to the median depth: enough parallax, still the same appearance
MIN_AXES_COSINE = 0.95
MATCHING_PIXELS = 640 * 480  # larger images are matched at this size
FEATURES, RATIO = 1500, 0.75
MAX_EPIPOLAR_PX, DISPARITY_SIGMA_PX = 1.0, 0.5
MAX_RELATIVE_SIGMA = 0.04  # of a triangulated inverse depth
MAX_RELATIVE_ERROR = 0.25  # between measured and triangulated inverse depth; beyond it the match is wrong
FLAT_PX, FLAT_STEP = 3, 0.03  # depth must not change by more than this share over so many pixels
PRIOR_SIGMA = 0.05  # of scale - 1 and of offset (1/m): what the points do not tell stays near the identity
MIN_GAIN = 0.05  # by which the error on other frames than the fit's must fall


@dataclass(frozen=True)
class DepthCorrection:
    """1 / z' = scale / z + offset (1/m), the error model of disparity, which structured light and stereo measure.

    `points` triangulated points told so; `error_before_m` and `error_after_m` are their median absolute depth errors,
    after by cross-validation. The default is the identity.
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
        known = (depth > 0) & (divisor > 0) & np.isfinite(divisor)
        return np.divide(depth, divisor, out=np.zeros_like(depth), where=known)

    def describe(self) -> str:
        """A person's line about what was found."""
        errors = f"median error {1e3 * self.error_before_m:.0f} mm"
        if self.is_identity:
            return f"depth left as it is: {self.points} points" + (f", {errors}" if self.points else "")
        model = f"1/z' = {self.scale:.3f}/z {self.offset:+.4f}"
        return f"depth corrected: {model} from {self.points} points, {errors} -> {1e3 * self.error_after_m:.0f} mm"

    def save(self, path: Path) -> None:
        """Write it as JSON, all at once."""
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=1) + "\n")
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> "DepthCorrection":
        """Read what `save` wrote. Raises DatasetError for a file that is not whole."""
        try:
            return DepthCorrection(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise DatasetError(f"{path}: not a depth correction ({error}); --fresh makes it anew") from error


@dataclass(frozen=True)
class CorrectedDepth:
    """The frames of `parent`, their known depth corrected."""

    parent: Dataset
    correction: DepthCorrection

    @property
    def names(self) -> tuple[str, ...]:
        return self.parent.names

    @property
    def has_depth(self) -> bool:
        return self.parent.has_depth

    def __len__(self) -> int:
        return len(self.parent)

    def camera(self, index: int) -> Camera:
        return self.parent.camera(index)

    def map_from_camera(self, index: int) -> Float:
        return self.parent.map_from_camera(index)

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        frame = self.parent.frame(index, depth=depth)
        if frame.depth is None or self.correction.is_identity:
            return frame
        return replace(frame, depth=self.correction.apply(frame.depth))


@dataclass(frozen=True, eq=False)
class _Points:
    """Inverse depths (N,) in 1/m: measured by the sensor, triangulated with standard deviation sigmas; their pairs."""

    measured: Float
    triangulated: Float
    sigmas: Float
    pairs: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.measured)

    def __getitem__(self, mask: NDArray[np.bool_]) -> "_Points":
        return _Points(self.measured[mask], self.triangulated[mask], self.sigmas[mask], self.pairs[mask])

    def depth_errors(self, scale: float, offset: float) -> Float:
        """Absolute, in metres, after a correction."""
        errors: Float = np.abs(1.0 / (scale * self.measured + offset) - 1.0 / self.triangulated)
        return errors


def calibrate_depth(dataset: Dataset, progress: Progress = no_progress) -> DepthCorrection:
    """Fit the correction to points that are triangulated, with the known poses, from pairs of frames.

    The identity where points are too few, or where the correction of one half of the pairs is not clearly better than
    none on the other half. Raises DatasetError for a frame that cannot be read.
    """
    return _calibrate(_triangulated(dataset, progress))


def _calibrate(points: _Points) -> DepthCorrection:
    if len(points) < MIN_POINTS or len(np.unique(points.pairs)) < MIN_PAIRS:
        return DepthCorrection(points=len(points))
    odd = points.pairs % 2 == 1
    before = float(np.median(points.depth_errors(1.0, 0.0)))
    held_out = [points[test].depth_errors(*_fit(points[~test])) for test in (odd, ~odd)]
    after = float(np.median(np.concatenate(held_out)))
    if after > (1.0 - MIN_GAIN) * before:
        return DepthCorrection(points=len(points), error_before_m=before, error_after_m=before)
    return DepthCorrection(*_fit(points), len(points), before, after)


def _fit(points: _Points) -> tuple[float, float]:
    """Scale and offset, robustly, each point weighted by its parallax."""

    def residuals(parameters: Float) -> Float:
        scale, offset = parameters
        errors = (scale * points.measured + offset - points.triangulated) / points.sigmas
        return np.append(errors, ((scale - 1.0) / PRIOR_SIGMA, offset / PRIOR_SIGMA))

    scale, offset = least_squares(residuals, (1.0, 0.0), loss="soft_l1").x
    return float(scale), float(offset)


def _triangulated(dataset: Dataset, progress: Progress) -> _Points:
    """The points of at most MAX_PAIRS pairs that are spread evenly over the data set."""
    poses = np.stack([dataset.map_from_camera(i) for i in range(len(dataset))])
    indices = np.unique(np.linspace(0, len(dataset) - 1, min(len(dataset), MAX_PAIRS)).round().astype(int))
    columns = [np.empty((0, 4))]
    for pair, index in enumerate(indices):
        frame = dataset.frame(int(index), depth=True)
        partner = _partner(int(index), poses, frame.depth)
        if partner is not None:
            inverse_depths = _triangulated_pair(frame, dataset.frame(partner))
            columns.append(np.column_stack([inverse_depths, np.full(len(inverse_depths), pair)]))
        progress(pair + 1, len(indices))
    measured, triangulated, sigmas, pairs = np.concatenate(columns).T
    return _Points(measured, triangulated, sigmas, pairs.astype(np.intp))


def _partner(index: int, poses: Float, depth: NDArray[np.float32] | None) -> int | None:
    """The frame nearest in the sequence that looks the same way from far enough aside."""
    if depth is None or not (depth > 0).any():
        return None
    baselines = np.linalg.norm(poses[:, :3, 3] - poses[index, :3, 3], axis=1) / np.median(depth[depth > 0])
    suitable = (baselines > MIN_BASELINE) & (baselines < MAX_BASELINE)
    candidates = np.flatnonzero(suitable & (poses[:, :3, 2] @ poses[index, :3, 2] > MIN_AXES_COSINE))
    return int(candidates[np.argmin(np.abs(candidates - index))]) if len(candidates) else None


def _triangulated_pair(frame: Frame, other: Frame) -> Float:
    """(N, 3): measured inverse depth, triangulated inverse depth and its standard deviation, in `frame`'s camera."""
    assert frame.depth is not None
    pixels, other_pixels, pixel_size = _matches(frame.image, other.image)
    if not len(pixels):
        return np.empty((0, 3))
    camera = other.image.camera
    other_from_frame = invert(other.map_from_camera) @ frame.map_from_camera
    rays, seen = _normalised(frame.image.camera, pixels), _normalised(camera, other_pixels)
    triangulated, sensitivity, residual = _inverse_depth(rays, seen, other_from_frame)
    pixel_size /= min(camera.fx, camera.fy)
    depth = _flat_depth(frame.depth, pixels)
    known = (depth > 0) & (sensitivity > 0) & (residual < MAX_EPIPOLAR_PX * pixel_size)
    measured = 1.0 / depth[known]
    found = np.column_stack([measured, triangulated[known], DISPARITY_SIGMA_PX * pixel_size / sensitivity[known]])
    # both limits are relative to what was measured: relative to what was triangulated they would favour one side
    precise = found[:, 2] < MAX_RELATIVE_SIGMA * measured
    return found[precise & (np.abs(found[:, 1] - measured) < MAX_RELATIVE_ERROR * measured)]


def _inverse_depth(rays: Float, seen: Float, other_from_frame: Float) -> tuple[Float, Float, Float]:
    """Triangulate rays (N, 2) (x, y at depth 1) of one camera that the other one sees at (N, 2).

    At inverse depth w a ray r is at R r + w t in the other camera, and what that projects to is linear in w:
    w (seen * t_z - t_xy) = (R r)_xy - seen * (R r)_z, solved by least squares. Returns w (N,), how far the projection
    moves with w (N,), and how far it stays from `seen` (N,), the latter two at depth 1 of the other camera.
    """
    rotated = np.column_stack([rays, np.ones(len(rays))]) @ other_from_frame[:3, :3].T
    translation = other_from_frame[:3, 3]
    factor = seen * translation[2] - translation[:2]
    target = rotated[:, :2] - seen * rotated[:, 2:]
    squares = np.maximum((factor**2).sum(axis=1), 1e-18)
    inverse_depth = (factor * target).sum(axis=1) / squares
    scale = np.maximum(rotated[:, 2] + inverse_depth * translation[2], 1e-9)
    residual = np.linalg.norm(target - factor * inverse_depth[:, None], axis=1) / scale
    return inverse_depth, np.sqrt(squares) / scale, residual


def _matches(image: CameraImage, other: CameraImage) -> tuple[Float, Float, float]:
    """Pixels (N, 2) of one image and of the other that show the same, and the size of a matched pixel in theirs."""
    sift = cv2.SIFT_create(FEATURES)
    (points, descriptors, size), (other_points, other_descriptors, other_size) = (_features(sift, i) for i in (image, other))
    if min(len(points), len(other_points)) < 2:
        return np.empty((0, 2)), np.empty((0, 2)), other_size
    matcher = cv2.BFMatcher()
    back = [m.trainIdx for m in matcher.match(other_descriptors, descriptors)]
    pairs = [
        (best.queryIdx, best.trainIdx)
        for best, second in matcher.knnMatch(descriptors, other_descriptors, k=2)
        if best.distance < RATIO * second.distance and back[best.trainIdx] == best.queryIdx
    ]
    rows, other_rows = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    return points[rows], other_points[other_rows], max(size, other_size)


def _features(sift: cv2.SIFT, image: CameraImage) -> tuple[Float, NDArray[np.float32], float]:
    """Pixels (N, 2), descriptors (N, 128), and how many of the image's pixels one pixel of the matched image spans."""
    gray = cv2.cvtColor(image.rgb, cv2.COLOR_RGB2GRAY)
    size = max(1.0, float(np.sqrt(gray.size / MATCHING_PIXELS)))
    if size > 1.0:
        gray = cv2.resize(gray, None, fx=1.0 / size, fy=1.0 / size, interpolation=cv2.INTER_AREA)
    keypoints, descriptors = sift.detectAndCompute(gray, None)
    if descriptors is None:
        return np.empty((0, 2)), np.empty((0, 128), dtype=np.float32), size
    pixels = np.array([k.pt for k in keypoints], dtype=np.float64)
    scale = np.array(image.rgb.shape[1::-1]) / gray.shape[::-1]
    return (pixels + 0.5) * scale - 0.5, np.asarray(descriptors), size


def _normalised(camera: Camera, pixels: Float) -> Float:
    """The points (N, 2) at depth 1 of pixels (N, 2) in the camera's image, distortion undone."""
    points = cv2.undistortPoints(pixels[:, None], camera.matrix, np.array(camera.distortion))
    return np.asarray(points, dtype=np.float64)[:, 0]


def _flat_depth(depth: NDArray[np.float32], pixels: Float) -> Float:
    """The median depth around each pixel; 0 where some of it is unknown or at an edge."""
    columns, rows = pixels.round().astype(int).T
    height, width = depth.shape
    around = ((0, 0), (FLAT_PX, 0), (-FLAT_PX, 0), (0, FLAT_PX), (0, -FLAT_PX))
    samples = np.stack([depth[(rows + y).clip(0, height - 1), (columns + x).clip(0, width - 1)] for x, y in around])
    flat = (samples > 0).all(axis=0) & (np.ptp(samples, axis=0) < FLAT_STEP * samples[0])
    return np.where(flat, np.median(samples, axis=0), 0.0)
