"""What two frames that show the same say of their relative pose: key points matched by descriptor alone, and PnP from
either one's depth to the other's pixels."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.mutual_best import mutual_best
from vloc_ros.core.prefetch import prefetch
from vloc_ros.geometry.pnp import Matches, PnpSettings, ransac, settle
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import apply, blended, invert, rotation_angle
from vloc_ros.mapping.frame_features import FrameFeatures
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]

KEY_POINTS = 1024  # of a frame, the best ones
MIN_COSINE = 0.82
MIN_INLIERS = 40  # each way; repeated doors and shelves give some by chance
MIN_SHARE = 0.25  # of the matches that can be judged
AGREED_M, AGREED_RAD = 0.08, np.radians(2.0)  # both ways: depth that is off by a share moves one forth, the other back
SETTINGS = PnpSettings(max_inlier_angle_rad=0.008, ransac_points=1000, min_iterations=100, max_iterations=1000)
PREFETCHED = 8  # pairs on the way, for each thread


@dataclass(frozen=True, eq=False)
class RelativePoses:
    """Of n pairs (n, 2) of frames: the second one's pose in the first one's camera `first_from_second` (n, 4, 4), how
    many key points agree on it, `inliers` (n,), by how many pixels (n,) these are off with the recorded poses (median;
    an image's width at most), and by how many they have moved from one image to the other."""

    pairs: NDArray[np.int32]
    first_from_second: Float
    inliers: NDArray[np.int32]
    pixels_off: Float
    pixels_moved: Float

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, rows: NDArray[Any]) -> "RelativePoses":
        return RelativePoses(*(getattr(self, each.name)[rows] for each in fields(self)))


def measure_pairs(
    features: FrameFeatures, pairs: NDArray[np.int32], threads: int = 1, advance: Advance = no_advance
) -> RelativePoses:
    """The relative poses of those of the pairs (n, 2) of frames that show the same; whatever the recorded poses are."""

    def measure(pair: NDArray[np.int32]) -> _Measured | None:
        return _measured(features, *pair.tolist())

    def items() -> Iterator[NDArray[np.int32]]:
        yield from pairs

    kept, found = [], []
    for done, each in enumerate(prefetch(items(), measure, threads, PREFETCHED * threads)):
        if each is not None:
            kept.append(done)
            found.append(each)
        advance(done + 1, len(pairs))
    return RelativePoses(
        pairs[kept],
        np.array([each.first_from_second for each in found]).reshape(-1, 4, 4),
        np.array([each.inliers for each in found], dtype=np.int32),
        np.array([each.pixels_off for each in found], dtype=np.float64),
        np.array([each.pixels_moved for each in found], dtype=np.float64),
    )


def relative(poses: Float, pairs: NDArray[np.int32]) -> Float:
    """`first_from_second` (n, 4, 4) of pairs (n, 2) of poses (F, 4, 4)."""
    return np.asarray(invert(poses[pairs[:, 0]]) @ poses[pairs[:, 1]])


@dataclass(frozen=True, eq=False)
class _Measured:
    """One row of `RelativePoses`."""

    first_from_second: Float
    inliers: int
    pixels_off: float
    pixels_moved: float


def _measured(features: FrameFeatures, a: int, b: int) -> _Measured | None:
    rows = _mutual(features, a, b)
    if len(rows) < MIN_INLIERS:
        return None
    forth, back = _solved(features, rows), _solved(features, rows[:, ::-1])
    if back is None or forth is None:
        return None
    (a_from_b, inliers), (b_from_a, others) = forth, back
    apart = a_from_b @ b_from_a
    if np.linalg.norm(apart[:3, 3]) > AGREED_M or rotation_angle(np.eye(3), apart[:3, :3]) > AGREED_RAD:
        return None
    recorded = invert(features.map_from_camera[a]) @ features.map_from_camera[b]
    off = [
        _pixels_off(features, rows[inliers], recorded),
        _pixels_off(features, rows[others][:, ::-1], invert(recorded)),
    ]
    pixels = features.pixels[rows[inliers | others]]
    return _Measured(
        blended(a_from_b, invert(b_from_a), 0.5),
        int(min(inliers.sum(), others.sum())),
        float(np.median(np.concatenate(off))),
        float(np.median(np.linalg.norm(pixels[:, 0] - pixels[:, 1], axis=1))),
    )


def _mutual(features: FrameFeatures, a: int, b: int) -> NDArray[np.int64]:
    """Rows (M, 2) of key points of both frames that are each other's nearest neighbours in descriptors."""
    first_a, first_b = int(features.starts[a]), int(features.starts[b])
    own, other = (
        features.descriptors[first : min(first + KEY_POINTS, int(end))].astype(np.float32)
        for first, end in ((first_a, features.starts[a + 1]), (first_b, features.starts[b + 1]))
    )
    if not len(own) or not len(other):
        return np.zeros((0, 2), np.int64)
    rows, best, dots = mutual_best(own @ other.T)
    alike = dots >= MIN_COSINE * 127 * 127
    return np.column_stack([first_a + rows[alike], first_b + best[alike]])


def _solved(features: FrameFeatures, rows: NDArray[np.int64]) -> tuple[Float, NDArray[np.bool_]] | None:
    """The pose of the camera of the second key points in that of the first ones, whose depth is used; and the inliers
    among rows (M, 2). None where too few agree."""
    depths = features.depths[rows[:, 0]]
    known = np.flatnonzero(depths > 0)
    if len(known) < MIN_INLIERS:
        return None
    points = features.rays[rows[known, 0]] * depths[known, None]
    pixels = np.ascontiguousarray(features.pixels[rows[known, 1]])
    matches = Matches(pixels, points, np.ones(len(known)), np.zeros(len(known), np.int32))
    cameras = (RigCamera(features.camera),)
    solution = settle(ransac(matches, cameras, SETTINGS), matches, cameras, SETTINGS)
    if solution.inliers.sum() < max(MIN_INLIERS, MIN_SHARE * len(known)):
        return None
    inliers = np.zeros(len(rows), dtype=np.bool_)
    inliers[known[solution.inliers]] = True
    return solution.map_from_rig, inliers


def _pixels_off(features: FrameFeatures, rows: NDArray[np.int64], first_from_second: Float) -> Float:
    """(M,) how far the first key points are in the second's image from the second ones, with that pose."""
    points = features.rays[rows[:, 0]] * features.depths[rows[:, 0], None]
    projected, _ = features.camera.project(apply(invert(first_from_second), points))
    off = np.linalg.norm(projected - features.pixels[rows[:, 1]], axis=1)
    return np.asarray(np.fmin(off, features.camera.width))  # behind the camera it is no number
