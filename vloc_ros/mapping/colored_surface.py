"""The surface by whose colours places of a building that look alike are told apart, from the frames' depth."""

import numpy as np

from vloc_ros.core.place_surface import PlaceSurface, fits
from vloc_ros.datasets.types import Dataset
from vloc_ros.mapping.surface import Surface, fused, voxelised
from vloc_ros.progress import Advance, no_advance

VOXEL_M = 0.05
COARSER = 1.5  # times: the voxels of a place that is too large
MOST_POINTS = 200_000  # 500 square metres; they are drawn in 10 ms
COLOR_STEP = 4  # of 255: finer colours would take half as much of the file again, and say no more


def colored_surface(frames: Dataset, advance: Advance = no_advance) -> PlaceSurface | None:
    """Of frames with their poses: what those that have depth and colours show; None where there are none of these.
    Raises DatasetError for a place that is too large."""
    if not frames.has_depth:
        return None
    surface = fused(frames, VOXEL_M, advance, grey=False)
    return placed(surface) if len(surface) else None


def placed(surface: Surface) -> PlaceSurface:
    """As a map has it: in larger voxels, where it is large."""
    while len(surface) > MOST_POINTS or not fits(surface.points, surface.voxel_size):
        size = COARSER * surface.voxel_size
        surface = voxelised(surface.points, surface.normals, surface.colors, surface.counts, size)
    colors = np.rint(surface.colors * 255).astype(np.uint8) // COLOR_STEP * COLOR_STEP
    return PlaceSurface.of(surface.points, colors, surface.voxel_size)
