"""Which frames see the same part of a place, and which pairs of them are worth matching."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.frame_features import FrameFeatures

Float = NDArray[np.float64]

SAMPLES = 64  # points of a frame whose depth is known
MIN_OVERLAP = 0.15  # of the samples of one of the two
PARTNERS = 12
METRES_PER_RADIAN = 0.5  # what a turn of the axis counts in a distance between poses


def covisible_pairs(features: FrameFeatures, partners: int = PARTNERS) -> NDArray[np.int32]:
    """Pairs (n, 2) of frames i < j that see the same: `partners` of each, spread over the views from which much of what
    it shows is seen. No pairs where frames share nothing, or where no depth is known."""
    shared = overlaps(features)
    distances = _distances(features.map_from_camera)
    pairs = [
        (min(frame, other), max(frame, other))
        for frame in range(len(features))
        for other in _spread(shared[frame], distances[frame], distances, partners)
    ]
    return np.unique(np.array(pairs, dtype=np.int32).reshape(-1, 2), axis=0)


def overlaps(features: FrameFeatures) -> Float:
    """(F, F) symmetric, the share of a frame's points that are in the other's image, the smaller of both ways."""
    count = len(features)
    camera_from_map = invert(features.map_from_camera)
    seen = np.zeros((count, count))
    for frame in range(count):
        points = _samples(features, frame)
        if len(points):
            seen[frame] = _share_seen(features, camera_from_map, points)
    both = np.where((seen > 0) & (seen.T > 0), np.minimum(seen, seen.T), np.maximum(seen, seen.T))
    np.fill_diagonal(both, 0.0)
    return np.asarray(both)


def _samples(features: FrameFeatures, frame: int) -> Float:
    """Points (n, 3) of a frame in the map's frame."""
    rows = np.arange(features.starts[frame], features.starts[frame + 1])
    rows = rows[features.depths[rows] > 0]
    rows = rows[:: 1 + len(rows) // SAMPLES]
    return apply(features.map_from_camera[frame], features.rays[rows] * features.depths[rows, None])


def _share_seen(features: FrameFeatures, camera_from_map: Float, points: Float) -> Float:
    """The share (F,) of points (n, 3) that are inside each frame's image."""
    camera = features.camera
    turned = (camera_from_map[:, :3, :3].reshape(-1, 3) @ points.T).reshape(-1, 3, len(points))
    x, y, z = np.moveaxis(turned + camera_from_map[:, :3, 3:], 1, 0)
    depth = np.where(z > 0.05, z, np.inf)
    u, v = x / depth * camera.fx + camera.cx, y / depth * camera.fy + camera.cy
    inside = (z > 0.05) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    return np.asarray(inside.mean(axis=1))


def _distances(poses: Float) -> Float:
    """(F, F) how far poses are from each other: metres, and turns of the axis as if they were metres."""
    positions, axes = poses[:, :3, 3], poses[:, :3, 2]
    apart = np.linalg.norm(positions[:, None] - positions, axis=-1)
    turned = np.arccos(np.clip(axes @ axes.T, -1.0, 1.0))
    return np.asarray(apart + METRES_PER_RADIAN * turned)


def _spread(shared: Float, nearness: Float, distances: Float, partners: int) -> list[int]:
    """At most `partners` of the frames that share enough, each one far from those before (farthest point sampling),
    what shares much before what shares little; the first one is the nearest."""
    candidates = np.flatnonzero(shared >= MIN_OVERLAP)
    if not len(candidates):
        return []
    chosen = [int(candidates[np.argmin(nearness[candidates])])]
    apart = np.minimum(nearness[candidates], distances[candidates, chosen[0]])
    while len(chosen) < min(partners, len(candidates)):
        best = int(np.argmax(apart * shared[candidates]))
        chosen.append(int(candidates[best]))
        apart = np.minimum(apart, distances[candidates, chosen[-1]])
        apart[best] = -1.0
    return chosen
