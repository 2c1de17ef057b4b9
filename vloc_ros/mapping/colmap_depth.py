"""Depth at key points from the points of a COLMAP model, in place of a depth camera."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.colmap import read_views
from vloc_ros.mapping.frame_features import FrameFeatures

Float = NDArray[np.float64]

MAX_DISTANCE_PX = 3.0  # between a key point and the model's observation that it shares the depth with


def with_model_depths(features: FrameFeatures, directory: Path, dataset: Dataset) -> FrameFeatures:
    """Features whose depths are those of a model's points: each key point has that of the nearest observation of its
    frame in the image, where one is near enough.

    The model's key points were found by other features than these. So its points tell how far away things are, from
    which `reconstruct` makes tracks and points of these. Raises as `read_views`, and DatasetError where no key point is
    near the model's.
    """
    views = read_views(directory, dataset)
    depths = np.zeros(len(features.pixels))
    for index, (rows, pixels) in views.seen.items():
        _, known = features.camera.project(apply(invert(features.map_from_camera[index]), views.positions[rows]))
        own = slice(features.starts[index], features.starts[index + 1])
        there = dataset.camera(index).undistort_pixels(pixels, features.camera)
        apart, nearest = cKDTree(there).query(features.pixels[own], distance_upper_bound=MAX_DISTANCE_PX)
        depths[own] = np.where(np.isfinite(apart), np.append(known, 0.0)[nearest], 0.0)
    if not depths.any():
        raise DatasetError(f"{directory}: none of its points is within {MAX_DISTANCE_PX:g} pixels of a key point")
    return replace(features, depths=depths)
