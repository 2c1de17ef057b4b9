"""PRAM's landmarks (sections 3.1 and 3.2): the regions of a reconstruction's points, and which points each needs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from vloc_ros.core.points import Points
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.ground_clusters import cluster, on_ground, vertical_direction
from vloc_ros.mapping.landmarks import Landmarks
from vloc_ros.mapping.reconstruction import Reconstruction

Float = NDArray[np.float64]
Ints = NDArray[np.int32]
Mask = NDArray[np.bool_]

DEFAULT_LANDMARKS = 128  # of a place
LEAST_POINTS = 8  # of a landmark, on average: a place of fewer points has fewer landmarks than it is asked for
SEEN_POINTS = 3  # of a landmark, in an image that sees it
NEIGHBOURS, MAX_VARIANCE = 20, 0.2  # the paper's lambda_n and lambda_v, the latter in m^2
TYPICAL = 9.0  # three times the usual distance
COVISIBLE_PX = 25.0  # the paper's lambda_o
ENOUGH = 0.8  # of a landmark's points, in the images that are looked at when it is pruned


@dataclass(frozen=True, eq=False)
class PointRegions:
    """The regions of one place: `landmarks`, whose labels are of the points of `reconstruction`, none of them 0; and of
    each landmark (K,) the frame whose pose is its virtual reference frame."""

    reconstruction: Reconstruction
    landmarks: Landmarks
    reference_frames: Ints

    @property
    def regions(self) -> Ints:
        """The row (P,) of its landmark for each point."""
        return np.asarray(self.landmarks.point_labels - 1, dtype=np.int32)

    @property
    def reference_views(self) -> Float:
        """Poses (K, 4, 4) of the virtual reference frames."""
        return self.reconstruction.map_from_camera[self.reference_frames]


def divide_points(
    reconstruction: Reconstruction, count: int = DEFAULT_LANDMARKS, up: Float | None = None
) -> PointRegions:
    """Divide the points that are consistent with their neighbours into `count` landmarks, or one for LEAST_POINTS of
    them if these are fewer: clusters on the ground plane, to which `up` (3,) is perpendicular, by default
    `vertical_direction`. A landmark is at the mean of its points; its normal points to where it was seen from. Raises
    DatasetError where no points are left, ConfigError for a count below 1.
    """
    if count < 1:
        raise ConfigError(f"landmarks: {count} of them are wanted, at least 1 can be")
    kept = of_points(reconstruction, spatially_consistent(reconstruction.positions))
    up = vertical_direction(kept.map_from_camera) if up is None else up
    regions = cluster(on_ground(kept.positions, up), max(1, min(count, len(kept) // LEAST_POINTS)))
    seen = _observed(kept, regions)
    landmarks = Landmarks(
        positions=_means(kept.positions, regions),
        normals=_normals(kept, regions),
        extents=_extents(kept.positions, regions),
        observations=(seen >= SEEN_POINTS).sum(axis=1).astype(np.int32),
        point_labels=regions + np.int32(1),
    )
    return PointRegions(kept, landmarks, virtual_reference_frames(seen))


def spatially_consistent(positions: Float) -> Mask:
    """Which of positions (P, 3) are near their NEIGHBOURS nearest ones: the mean squared distance to these is at most
    MAX_VARIANCE (section 3.1), or TYPICAL times its median, in places where points are farther apart. Of a few points
    all are."""
    if len(positions) <= NEIGHBOURS:
        return np.ones(len(positions), dtype=np.bool_)
    apart, _ = cKDTree(positions).query(positions, NEIGHBOURS + 1)
    variances = np.square(apart[:, 1:]).mean(axis=1)
    return np.asarray(variances <= max(MAX_VARIANCE, TYPICAL * float(np.median(variances))))


def of_points(reconstruction: Reconstruction, kept: Mask) -> Reconstruction:
    """A reconstruction with some (P,) of its points only, in their order. Raises DatasetError for none."""
    if not kept.any():
        raise DatasetError(f"points: none of {len(kept)} is consistent with its neighbours")
    if kept.all():
        return reconstruction
    observed = kept[reconstruction.points]
    numbers = (np.cumsum(kept) - 1).astype(np.int32)
    return replace(
        reconstruction,
        positions=reconstruction.positions[kept],
        sigmas=reconstruction.sigmas[kept],
        frames=reconstruction.frames[observed],
        points=numbers[reconstruction.points[observed]],
        rows=reconstruction.rows[observed],
        pixels=reconstruction.pixels[observed],
    )


def virtual_reference_frames(seen: Ints) -> Ints:
    """The frame (K,) that observes most points of each landmark (equation 4); `seen` (K, F): how many each observes."""
    return np.asarray(seen.argmax(axis=1), dtype=np.int32)


def pruned(reconstruction: Reconstruction, regions: Ints, radius_px: float = COVISIBLE_PX) -> Mask:
    """Which points (P,) are left by adaptive landmark-wise pruning (equations 5 and 6), given the region of each.

    Of each landmark, frames are taken in the order of how many of its points they observe. All points of the first
    stay; those of a later one stay if they project farther than `radius_px` from every point that stayed because of an
    earlier one, in that frame's image. Once the frames taken observe the share ENOUGH of the points, the others go.
    """
    kept = np.zeros(len(reconstruction), dtype=np.bool_)
    camera_from_map = invert(reconstruction.map_from_camera)
    region_of_observation = regions[reconstruction.points]
    order = np.lexsort((reconstruction.frames, region_of_observation))
    ends = np.searchsorted(region_of_observation[order], np.arange(int(regions.max(initial=-1)) + 2))
    for first, last in pairwise(ends):
        kept[_needed(reconstruction, order[first:last], camera_from_map, radius_px)] = True
    return kept


def _needed(
    reconstruction: Reconstruction, observed: NDArray[np.intp], camera_from_map: Float, radius_px: float
) -> Ints:
    """The points that one landmark needs; `observed`: its observations, in the order of their frames."""
    frames, first, counts = np.unique(reconstruction.frames[observed], return_index=True, return_counts=True)
    enough = ENOUGH * len(np.unique(reconstruction.points[observed]))
    seen, needed = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32)
    anchors: list[tuple[int, Float]] = []  # frames taken, and where in them the points are that stayed because of them
    for row in np.argsort(-counts, kind="stable"):
        if len(seen) >= enough:
            break
        of_frame = observed[first[row] : first[row] + counts[row]]
        points = reconstruction.points[of_frame]
        new = np.isin(points, seen, invert=True)  # one that was dropped before is as near as it was then
        for frame, pixels in anchors:
            if not new.any():
                break
            positions = apply(camera_from_map[frame], reconstruction.positions[points[new]])
            new[new] = ~_near(reconstruction.camera.project(positions)[0], pixels, radius_px)
        if new.any():
            anchors.append((int(frames[row]), reconstruction.pixels[of_frame[new]]))
            needed = np.concatenate([needed, points[new]])
        seen = np.union1d(seen, points)
    return needed


def _near(pixels: Float, others: Float, radius_px: float) -> Mask:
    """Which of pixels (N, 2), not all finite, are within a radius of any of the others (M, 2)."""
    apart = np.square(pixels[:, None] - others[None]).sum(axis=2)
    return np.asarray((apart < radius_px**2).any(axis=1))


def joined_points(places: Sequence[tuple[Points, Ints]], landmark_counts: Sequence[int]) -> Points:
    """The points of a map: those of each place with the region (P,) of each, where regions are numbered place after
    place, `landmark_counts` of them in each."""
    before = np.concatenate([[0], np.cumsum(landmark_counts)]).astype(np.int32)
    parts = []
    for number, (points, regions) in enumerate(places):
        indices = np.full(len(points), number, dtype=np.int32)
        parts.append(replace(points, regions=(regions + before[number]).astype(np.int32), places=indices))
    return Points(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def _observed(reconstruction: Reconstruction, regions: Ints) -> Ints:
    """(K, F) how many of each landmark's points each frame observes."""
    landmarks, frames = int(regions.max()) + 1, len(reconstruction.names)
    pairs = regions[reconstruction.points].astype(np.int64) * frames + reconstruction.frames
    return np.bincount(pairs, minlength=landmarks * frames).reshape(landmarks, frames).astype(np.int32)


def _means(values: Float, groups: Ints) -> Float:
    """Of values (N, 3), by group."""
    sums = np.stack([np.bincount(groups, values[:, k]) for k in range(values.shape[1])], axis=1)
    return np.asarray(sums / np.bincount(groups)[:, None])


def _normals(reconstruction: Reconstruction, regions: Ints) -> Float:
    """Unit vectors (K, 3) to where landmarks were seen from, on average; up where that is from all around."""
    away = (
        reconstruction.map_from_camera[reconstruction.frames, :3, 3] - reconstruction.positions[reconstruction.points]
    )
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    normals = _means(away, regions[reconstruction.points])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, normals / np.maximum(lengths, 1e-6), np.array([0.0, 0.0, 1.0]))


def _extents(positions: Float, regions: Ints) -> Float:
    """Of each landmark (K,) the distance of its farthest point from their mean."""
    extents = np.zeros(int(regions.max()) + 1)
    np.maximum.at(extents, regions, np.linalg.norm(positions - _means(positions, regions)[regions], axis=1))
    return extents
