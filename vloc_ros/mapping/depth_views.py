"""Small depth images spread over a data set, with their poses: what frames measured of the same points is compared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.arrays import evenly_spread
from vloc_ros.datasets.registration import undistort_depth
from vloc_ros.datasets.types import Dataset
from vloc_ros.geometry.camera import Camera
from vloc_ros.mapping.labels import reduce_depth
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]

MAX_VIEWS = 100
WIDTH = 160  # pixels of a small depth image
FLAT_PX, MAX_RELATIVE_STEP = 2, 0.04  # depth that changes by more than this share over so many pixels is an edge


@dataclass(frozen=True, eq=False)
class DepthView:
    """A small depth image (H, W) of frame `index`, metres, 0 unknown or at an edge, and where its camera was. `shrink`:
    its pixels per pixel of the frame."""

    index: int
    camera: Camera
    map_from_camera: Float
    depth: NDArray[np.float32]
    shrink: float


def read_depth_views(dataset: Dataset, advance: Advance = no_advance) -> list[DepthView]:
    """At most MAX_VIEWS, spread evenly over the data set. Raises DatasetError for a frame that cannot be read."""
    indices = evenly_spread(len(dataset), MAX_VIEWS)
    views = []
    for done, index in enumerate(indices.tolist(), start=1):
        frame = dataset.frame(index, depth=True)
        camera = frame.image.camera
        if frame.depth is not None:
            small = camera.undistorted().resized(WIDTH, round(WIDTH * camera.height / camera.width))
            depth = reduce_depth(undistort_depth(camera, frame.depth), small.width, small.height)
            views.append(DepthView(index, small, frame.map_from_camera, _without_edges(depth), WIDTH / camera.width))
        advance(done, len(indices))
    return views


def _without_edges(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Depth with 0 where it, or what is around, is unknown, at an edge or at the image's border."""
    padded = np.pad(depth, FLAT_PX)
    height, width = depth.shape
    around = ((0, 1), (2, 1), (1, 0), (1, 2))
    flat = depth > 0
    for y, x in around:
        other = padded[y * FLAT_PX : y * FLAT_PX + height, x * FLAT_PX : x * FLAT_PX + width]
        flat &= np.abs(other - depth) < MAX_RELATIVE_STEP * depth
    return np.where(flat, depth, np.float32(0.0))


def depth_at(view: DepthView, pixels: Float) -> Float:
    """What a view measured (N,) at pixels (N, 2), NaN allowed; 0 outside and where it is unknown."""
    height, width = view.depth.shape
    columns, rows = np.nan_to_num(pixels, nan=-1.0).clip(-1, 1 << 20).round().astype(int).T
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    measured = np.zeros(len(pixels))
    measured[inside] = view.depth[rows[inside], columns[inside]]
    return measured
