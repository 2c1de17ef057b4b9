"""Depth at key points from the points of a COLMAP model, in place of a depth camera."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.colmap import ModelViews, read_views
from vloc_ros.mapping.frame_features import FrameFeatures
from vloc_ros.mapping.observations import Observations

Float = NDArray[np.float64]

MAX_DISTANCE_PX = 3.0  # between a key point and the model's observation that it shares the depth with


def undistorted_views(directory: Path, dataset: Dataset, camera: Camera) -> ModelViews:
    """`read_views` with pixels of the pinhole camera of the key points' images."""
    views = read_views(directory, dataset)
    seen = {
        index: (rows, dataset.camera(index).undistort_pixels(pixels, camera))
        for index, (rows, pixels) in views.seen.items()
    }
    return ModelViews(views.positions, seen)


def with_model_depths(features: FrameFeatures, views: ModelViews, directory: Path) -> FrameFeatures:
    """Features whose depths are those of a model's points: each key point has that of the nearest observation of its
    frame in the image, where one is near enough. `views`: of the key points' images.

    The model's key points were found by other features than these. So its points tell how far away things are, from
    which `reconstruct` makes tracks and points of these. Raises DatasetError where no key point is near the model's.
    """
    depths = np.zeros(len(features.pixels))
    for index, (rows, there) in views.seen.items():
        _, known = features.camera.project(apply(invert(features.map_from_camera[index]), views.positions[rows]))
        own = slice(features.starts[index], features.starts[index + 1])
        apart, nearest = cKDTree(there).query(features.pixels[own], distance_upper_bound=MAX_DISTANCE_PX)
        depths[own] = np.where(np.isfinite(apart), np.append(known, 0.0)[nearest], 0.0)
    if not depths.any():
        raise DatasetError(f"{directory}: none of its points is within {MAX_DISTANCE_PX:g} pixels of a key point")
    return replace(features, depths=depths)


def model_observations(views: ModelViews, intrinsics: Float) -> tuple[Observations, Float]:
    """What the frames observe of the model's points, and these (P, 3), for a bundle adjustment with the intrinsics (6,)
    of key points' images. They have no rows in the features."""
    frames = np.concatenate([np.full(len(rows), index, np.int32) for index, (rows, _) in views.seen.items()])
    points = np.concatenate([rows for rows, _ in views.seen.values()])
    pixels = np.concatenate([pixels for _, pixels in views.seen.values()])
    order = np.lexsort((frames, points))
    used, counts = np.unique(points, return_counts=True)
    nothing = np.zeros(len(points))
    observed = Observations(
        np.cumsum([0, *counts], dtype=np.int64), frames[order], np.full(len(points), -1), pixels[order],
        nothing, nothing, intrinsics,
    )  # fmt: skip
    return observed, views.positions[used]
