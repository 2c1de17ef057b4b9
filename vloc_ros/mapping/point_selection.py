"""The points of a map: so many of a reconstruction's that every mapping view keeps enough, with a descriptor each."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.points import Points
from vloc_ros.mapping.frame_features import FeatureSource, quantized
from vloc_ros.mapping.reconstruction import Reconstruction

Float = NDArray[np.float64]

DEFAULT_COUNT = 10_000
ROUNDS = 100  # of choosing some, then weighing what is left anew
MAX_SIGMA_M = 1.0
CELLS = 4  # of an image, along either side: points shall be all over it


def select_points(
    reconstruction: Reconstruction,
    features: FeatureSource,
    count: int = DEFAULT_COUNT,
    *,
    medoid: bool = False,
    dtype: type[np.int8] | type[np.float16] = np.int8,
) -> Points:
    """At most `count` points, of region 0 and place 0. A point's descriptor is the mean of its observations', or with
    `medoid` the observation that is nearest to all others (PRAM, equation 3)."""
    chosen = chosen_points(reconstruction, count)
    descriptors = point_descriptors(reconstruction, features, chosen, medoid=medoid)
    directions, distances = viewing(
        reconstruction.frames, reconstruction.points, reconstruction.positions, reconstruction.map_from_camera
    )
    counts = np.bincount(reconstruction.points, minlength=len(reconstruction))
    return Points(
        positions=reconstruction.positions[chosen],
        descriptors=quantized(descriptors) if dtype is np.int8 else descriptors.astype(np.float16),
        regions=np.zeros(len(chosen), dtype=np.int32),
        places=np.zeros(len(chosen), dtype=np.int32),
        directions=directions[chosen],
        distances=distances[chosen],
        sigmas=sigmas_far_away(reconstruction.sigmas, counts)[chosen],
    )


def sigmas_far_away(sigmas: Float, counts: NDArray[np.int64]) -> Float:
    """The standard deviations (P,), along the direction that each is seen from, that points of so many observations
    have for views from elsewhere; `sigmas` (P,): those of a reconstruction, which takes every observation for a
    measurement of its own.

    Neighbouring views err alike, in where they find a key point and in their own poses: so many of them are no better
    than one. Measured on frames far from all mapping views, docs/pram.md.
    """
    far_away: Float = np.minimum(sigmas * np.sqrt(counts), MAX_SIGMA_M)
    return far_away


def chosen_points(reconstruction: Reconstruction, count: int) -> NDArray[np.int64]:
    """At most `count` rows of points, ascending, greedily: each adds 1 / (1 + n) for every view of it, n being how many
    points were chosen before in that part of that view (so that the sum of the logarithms of all n grows most)."""
    total = len(reconstruction)
    if total <= count:
        return np.arange(total)
    parts = _parts(reconstruction)
    chosen = np.zeros(total, dtype=np.bool_)
    filled = np.zeros(int(parts.max()) + 1)
    for done in range(ROUNDS):
        gains = np.bincount(reconstruction.points, 1.0 / (1.0 + filled[parts]), minlength=total)
        gains[chosen] = -1.0
        wanted = round(count * (done + 1) / ROUNDS) - int(chosen.sum())
        best = np.argpartition(-gains, wanted)[:wanted]
        chosen[best] = True
        filled += np.bincount(parts, np.isin(reconstruction.points, best), minlength=len(filled))
    return np.flatnonzero(chosen)


def _parts(reconstruction: Reconstruction) -> NDArray[np.int64]:
    """(O,) which part of which frame each observation is in."""
    size = np.array([reconstruction.camera.width, reconstruction.camera.height])
    columns, rows = ((reconstruction.pixels + 0.5) / size * CELLS).astype(np.int64).clip(0, CELLS - 1).T
    return np.asarray((reconstruction.frames * CELLS + rows) * CELLS + columns)


def point_descriptors(
    reconstruction: Reconstruction, features: FeatureSource, chosen: NDArray[np.int64], *, medoid: bool = False
) -> NDArray[np.float32]:
    """(n, D) of length 1, of the rows `chosen` of points."""
    place = np.full(len(reconstruction), -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    sums = _descriptor_sums(reconstruction, features, place, len(chosen))
    means = np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True), dtype=np.float32)
    return _nearest_to_all(reconstruction, features, place, means) if medoid else means


def _descriptors_by_frame(reconstruction: Reconstruction, features: FeatureSource, place: NDArray[np.int64]):  # type: ignore[no-untyped-def]
    """For each frame the places of the points that it observes, and their key points' descriptors there."""
    order = np.argsort(reconstruction.frames, kind="stable")
    ends = np.searchsorted(reconstruction.frames[order], np.arange(len(reconstruction.names) + 1))
    for frame in range(len(reconstruction.names)):
        of_frame = order[ends[frame] : ends[frame + 1]]
        of_frame = of_frame[place[reconstruction.points[of_frame]] >= 0]
        if len(of_frame):
            found = features.key_points(frame).descriptors[reconstruction.rows[of_frame]]
            yield place[reconstruction.points[of_frame]], np.asarray(found, dtype=np.float32)


def _descriptor_sums(
    reconstruction: Reconstruction, features: FeatureSource, place: NDArray[np.int64], count: int
) -> Float:
    sums: Float | None = None
    for places, descriptors in _descriptors_by_frame(reconstruction, features, place):
        if sums is None:
            sums = np.zeros((count, descriptors.shape[1]))
        sums[places] += descriptors  # a frame observes a point once
    assert sums is not None
    return sums


def _nearest_to_all(
    reconstruction: Reconstruction, features: FeatureSource, place: NDArray[np.int64], means: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The observations whose sum of squared distances to all others is least: those nearest to the mean."""
    nearest: NDArray[np.float32] = means.copy()
    best = np.full(len(means), -np.inf)
    for places, descriptors in _descriptors_by_frame(reconstruction, features, place):
        likeness = (descriptors * means[places]).sum(axis=1)
        better = likeness > best[places]
        nearest[places[better]], best[places[better]] = descriptors[better], likeness[better]
    return nearest


def viewing(
    frames: NDArray[np.int32], points: NDArray[np.integer], positions: Float, map_from_camera: Float
) -> tuple[Float, Float]:
    """Mean unit directions (P, 3) to where points at `positions` (P, 3) were seen from, and the least and greatest
    distances (P, 2): observation o is of the point points[o] in the frame frames[o], at map_from_camera (F, 4, 4)."""
    offsets = map_from_camera[frames, :3, 3] - positions[points]
    away = np.linalg.norm(offsets, axis=1)
    total = len(positions)
    directions: Float = np.stack([np.bincount(points, column / away, minlength=total) for column in offsets.T], axis=1)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    directions = np.where(lengths > 1e-6, directions / np.maximum(lengths, 1e-6), (0.0, 0.0, 1.0))
    nearest: Float = np.full(total, np.inf)
    farthest: Float = np.zeros(total)
    np.minimum.at(nearest, points, away)
    np.maximum.at(farthest, points, away)
    return directions, np.column_stack([nearest, farthest])
