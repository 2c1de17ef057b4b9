"""Landmarks: the centres of a surface's patches, with how often the training images see them (VS-Net, section 3.1)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.mapping.splatting import render
from vloc_ros.mapping.surface import Surface
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]
Ints = NDArray[np.int32]

DEFAULT_MIN_OBSERVATIONS = 5
VISIBILITY_WIDTH = 80  # pixels: what is too small to be seen at this size is too small to be recognised
MIN_PIXELS = 3


@dataclass(frozen=True, eq=False)
class Landmarks:
    """K landmarks: positions (K, 3) metres on the surface, normals (K, 3) unit, extents (K,) metres to the patch's
    farthest point, observations (K,) training images that see it; and point_labels (N,) of the surface's points, where
    label k (1 .. K) is landmark k - 1 and 0 is none."""

    positions: Float
    normals: Float
    extents: Float
    observations: Ints
    point_labels: Ints

    def __post_init__(self) -> None:
        shapes = [a.shape for a in (self.positions, self.normals, self.extents, self.observations)]
        k = len(self.positions)
        if shapes != [(k, 3), (k, 3), (k,), (k,)]:
            raise ConfigError(f"landmarks: shapes {shapes} do not belong together")
        if len(self.point_labels) and not 0 <= self.point_labels.min() <= self.point_labels.max() <= k:
            raise ConfigError(f"landmarks: a point label is not within 0 .. {k}")

    def __len__(self) -> int:
        return len(self.positions)


def build_landmarks(
    surface: Surface,
    patch_of_point: Ints,
    dataset: Dataset,
    min_observations: int = DEFAULT_MIN_OBSERVATIONS,
    advance: Advance = no_advance,
) -> Landmarks:
    """The landmarks of the patches (N,) int32, -1 for none, that at least min_observations images see.

    An image sees a patch if at least MIN_PIXELS of its rendering at a width of VISIBILITY_WIDTH show it. Raises
    DatasetError if no patch is left.
    """
    observations = _observations(surface, patch_of_point + np.int32(1), dataset, advance)
    kept = np.flatnonzero(observations >= min_observations)
    if not len(kept):
        raise DatasetError(
            f"landmarks: none of {len(observations)} patches is seen by {min_observations} of {len(dataset)} images"
        )
    labels = np.zeros(len(observations) + 1, dtype=np.int32)
    labels[kept] = np.arange(1, len(kept) + 1)
    point_labels = labels[patch_of_point]  # patch -1 picks the 0 at the end
    centers, extents = _centers(surface, point_labels, len(kept))
    return Landmarks(surface.points[centers], surface.normals[centers], extents, observations[kept], point_labels)


def _observations(surface: Surface, labels: Ints, dataset: Dataset, advance: Advance) -> Ints:
    """Of each patch the number of images that see it."""
    count = int(labels.max(initial=0))
    observations = np.zeros(count, dtype=np.int32)
    for index in range(len(dataset)):
        camera = dataset.camera(index)
        height = max(1, round(VISIBILITY_WIDTH * camera.height / camera.width))
        image = render(surface, labels, camera.resized(VISIBILITY_WIDTH, height), dataset.map_from_camera(index))
        observations += np.bincount(image.ravel(), minlength=count + 1)[1:] >= MIN_PIXELS
        advance(index + 1, len(dataset))
    return observations


def _centers(surface: Surface, point_labels: Ints, count: int) -> tuple[NDArray[np.int64], Float]:
    """Of each label 1 .. count the surface point nearest to its mean, and how far its farthest point is from that."""
    members = np.flatnonzero(point_labels > 0)
    row = point_labels[members] - 1
    points = surface.points[members]
    sums = np.stack([np.bincount(row, points[:, k], count) for k in range(3)], axis=1)
    mean = sums / np.bincount(row, minlength=count)[:, None]
    order = np.lexsort((np.linalg.norm(points - mean[row], axis=1), row))
    centers = members[order[np.unique(row[order], return_index=True)[1]]]
    extents = np.zeros(count)
    np.maximum.at(extents, row, np.linalg.norm(points - surface.points[centers][row], axis=1))
    return centers, extents
