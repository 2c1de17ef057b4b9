"""Points by fusing: what each key point alone says of where it is, by its depth, merged where frames agree.

The simplest way to a map of points, which tracks and bundle adjustment are compared with.
"""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.transforms import apply
from vloc_ros.mapping.frame_features import FrameFeatures
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.mapping.tracks import MIN_LENGTH

CELL_M = 0.03
MIN_SIMILARITY = 0.8  # of descriptors that are merged
ROUNDS = 30  # at most so many points in a cell


def fused(features: FrameFeatures) -> Reconstruction:
    """Key points in the same cell of space and of similar descriptors are one point, at their median, if MIN_LENGTH
    frames see it."""
    rows = np.flatnonzero(features.depths > 0)
    camera_points = features.rays[rows] * features.depths[rows, None]
    positions = np.empty((len(rows), 3))
    for frame, pose in enumerate(features.map_from_camera):
        of_frame = features.frames[rows] == frame
        positions[of_frame] = apply(pose, camera_points[of_frame])
    cells = np.unique(np.floor(positions / CELL_M).astype(np.int64), axis=0, return_inverse=True)[1].ravel()
    points = _merged(cells, features.descriptors[rows])
    kept = _first_of_each(points, features.frames[rows]) & (points >= 0)  # a frame observes a point once
    kept &= np.bincount(points[kept], minlength=points.max() + 1)[points] >= MIN_LENGTH
    order = np.flatnonzero(kept)[np.argsort(points[kept], kind="stable")]
    numbers = np.unique(points[order], return_inverse=True)[1].astype(np.int32)
    found = np.split(positions[order], np.flatnonzero(np.diff(numbers)) + 1)
    return Reconstruction(
        positions=np.array([np.median(each, axis=0) for each in found]),
        sigmas=np.array([each.std(axis=0).max() for each in found]),
        frames=features.frames[rows[order]],
        points=numbers,
        rows=(rows[order] - features.starts[features.frames[rows[order]]]).astype(np.int32),
        pixels=features.pixels[rows[order]],
        names=features.names,
        map_from_camera=features.map_from_camera,
        recorded=features.map_from_camera,
        camera=features.camera,
    )


def _merged(cells: NDArray[np.int64], descriptors: NDArray[np.int8]) -> NDArray[np.int64]:
    """The point (N,) that each observation is of, -1 for none: in each cell, the first that is of none yet begins one,
    which all similar ones join; then the next."""
    points, begun = np.full(len(cells), -1), 0
    for _ in range(ROUNDS):
        free = np.flatnonzero(points < 0)
        if not len(free):
            break
        _, first, of_cell = np.unique(cells[free], return_index=True, return_inverse=True)
        anchors = descriptors[free[first]].astype(np.float32) / 127
        alike = np.einsum("ij,ij->i", descriptors[free].astype(np.float32) / 127, anchors[of_cell.ravel()])
        joins = alike >= MIN_SIMILARITY
        joins[first] = True
        points[free[joins]] = begun + of_cell.ravel()[joins]
        begun += len(first)
    return points


def _first_of_each(points: NDArray[np.int64], frames: NDArray[np.int32]) -> NDArray[np.bool_]:
    first = np.zeros(len(points), dtype=np.bool_)
    first[np.unique(np.column_stack([points, frames]), axis=0, return_index=True)[1]] = True
    return first
