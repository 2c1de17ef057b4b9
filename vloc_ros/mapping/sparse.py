"""Sparse points in place of depth: which of them each frame sees, and the labels and landmarks they make."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.registration import undistort_depth
from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.hierarchy import Hierarchy, divide
from vloc_ros.mapping.landmarks import Landmarks
from vloc_ros.mapping.propagation import propagate
from vloc_ros.mapping.voxels import cells_of, keys_of
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]
Ints = NDArray[np.int32]

CORNER_QUALITY = 0.01  # of the strongest corner's; weaker ones are noise
THINNED_VOXEL = 0.02  # metres: one point of the cloud in each
NETWORK_SCALE = 2  # labels are kept at half the resolution of the network's input


@dataclass(frozen=True, eq=False)
class SparsePoints:
    """Points of a place, and which of them each frame of a data set sees.

    positions: (P, 3) metres in the map's frame, each seen by some frame. seen: by the frame's name, rows (n,) of
    positions; frames that see none are left out. Raises DatasetError if there are no points.
    """

    positions: Float
    seen: Mapping[str, Ints]

    def __post_init__(self) -> None:
        if not len(self.positions) or not self.seen:
            raise DatasetError(
                f"sparse points: {len(self.positions)} points seen by {len(self.seen)} frames, none left"
            )

    def as_arrays(self) -> dict[str, NDArray[Any]]:
        """The same as arrays, to be kept in a file."""
        rows = list(self.seen.values())
        return {
            "positions": self.positions,
            "frames": np.array(list(self.seen)),
            "ends": np.cumsum([len(each) for each in rows]),
            "rows": np.concatenate(rows),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "SparsePoints":
        """What `as_arrays` gave."""
        rows = np.split(arrays["rows"], arrays["ends"][:-1])
        return cls(arrays["positions"], dict(zip(arrays["frames"].tolist(), rows, strict=True)))

    def summary(self, dataset: Dataset) -> str:
        """How many there are and how many of the data set's frames see any, in one line."""
        counts = [len(self.seen[name]) for name in dataset.names if name in self.seen]
        median = np.median(counts) if counts else 0
        return (
            f"{len(self.positions)} points; {len(counts)} of {len(dataset)} frames see some of them, "
            f"{median:.0f} each (median)"
        )


def sparsified_depth(dataset: Dataset, corners: int, advance: Advance = no_advance) -> SparsePoints:
    """What would be known of frames with depth if it were known at corners of the image alone, at most `corners` each.

    Corners are where a sparse reconstruction has its points. Each gives a point of its own: nothing is matched between
    frames. Raises DatasetError for a frame without depth.
    """
    points: list[Float] = []
    seen: dict[str, Ints] = {}
    total = 0
    for index in range(len(dataset)):
        frame = dataset.frame(index, depth=True)
        found = _points_at_corners(frame, corners)
        if len(found):
            points.append(found)
            seen[frame.name] = np.arange(total, total + len(found), dtype=np.int32)
            total += len(found)
        advance(index + 1, len(dataset))
    return SparsePoints(np.concatenate([np.zeros((0, 3)), *points]), seen)


def _points_at_corners(frame: Frame, count: int) -> Float:
    """Points (n, 3) in the map's frame at the strongest corners that have a depth, not all of them in one place."""
    camera = frame.image.camera
    assert frame.depth is not None
    depth = undistort_depth(camera, frame.depth)
    grey = cv2.cvtColor(camera.undistort(frame.image.rgb), cv2.COLOR_RGB2GRAY)
    apart = np.sqrt(grey.size / count) / 4  # a quarter of what they would be apart on a grid
    known = (depth > 0).astype(np.uint8)
    found = cv2.goodFeaturesToTrack(grey, count, CORNER_QUALITY, apart, mask=known)
    if found is None:
        return np.zeros((0, 3))
    u, v = found.reshape(-1, 2).astype(np.int64).T  # whole pixels
    return apply(frame.map_from_camera, camera.rays()[v, u] * depth[v, u, None])


class SparseLabeller:
    """Labels images with coordinates of sparse points, spread to pixels nearby; safe to share between threads."""

    def __init__(self, points: SparsePoints, reach: int) -> None:
        """`reach`: how far a label spreads each way, in pixels of the network's input. Raises ConfigError if < 0."""
        if reach < 0:
            raise ConfigError(f"labels: reach {reach} must not be negative")
        self._points = points
        self._reach = reach

    def label(self, frame: Frame, width: int, height: int) -> NDArray[np.float32]:
        """Coordinates (height, width, 3), metres in the map's frame, NaN where unknown, of what the frame's camera
        (without its distortion) sees: each is that of the nearest point that the frame sees within reach.

        Labels spread at the resolution of the network's input; every NETWORK_SCALE-th pixel of it is a label's.
        """
        shown = self._shown(frame, NETWORK_SCALE * width, NETWORK_SCALE * height)
        rows, columns, reached = (a[::NETWORK_SCALE, ::NETWORK_SCALE] for a in propagate(shown >= 0, self._reach))
        coordinates = self._points.positions[shown[rows, columns]]
        return np.where(reached[..., None], coordinates, np.nan).astype(np.float32)

    def _shown(self, frame: Frame, width: int, height: int) -> Ints:
        """The point (height, width) that each pixel shows, the nearest one to the camera, or -1."""
        shown = np.full((height, width), -1, dtype=np.int32)
        seen = self._points.seen.get(frame.name, np.zeros(0, dtype=np.int32))
        camera = frame.image.camera.undistorted().resized(width, height)
        pixels, depth = camera.project(apply(invert(frame.map_from_camera), self._points.positions[seen]))
        inside = ((pixels > -0.5) & (pixels < np.array([width, height]) - 0.5)).all(axis=1)
        far_to_near = np.flatnonzero(inside)[np.argsort(-depth[inside], kind="stable")]
        u, v = np.rint(pixels[far_to_near]).astype(np.int64).T
        shown[v, u] = seen[far_to_near]  # of several in a pixel the last stays
        return shown


def point_cloud(points: SparsePoints, voxel_size: float = THINNED_VOXEL) -> Float:
    """The points (N, 3), one in each voxel, to divide into regions by `build_hierarchy`.

    Thinned, so that what many frames saw does not draw all regions to itself.
    """
    _, first = np.unique(keys_of(cells_of(points.positions, voxel_size)), return_index=True)
    return points.positions[np.sort(first)]


def sparse_landmarks(points: SparsePoints, hierarchy: Hierarchy, dataset: Dataset, place: int = 0) -> Landmarks:
    """One landmark for each leaf of a place, in their order and at their centres; `dataset` has the place's frames.

    Extents reach the leaf's farthest point, observations are the frames that see a point of it, normals point to where
    it was seen from: the mean direction from its points to their frames' cameras. Raises ConfigError for points that do
    not reach every leaf: they are not those that the hierarchy was made from.
    """
    centers, leaves, extents = divide(hierarchy, points.positions, place)
    observations, directions = np.zeros(len(centers), dtype=np.int32), np.zeros((len(centers), 3))
    for index, name in enumerate(dataset.names):
        seen = points.seen.get(name, np.zeros(0, dtype=np.int32))
        observations[np.unique(leaves[seen])] += 1
        toward = dataset.map_from_camera(index)[:3, 3] - points.positions[seen]
        np.add.at(directions, leaves[seen], toward / np.linalg.norm(toward, axis=1, keepdims=True))
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    normals = np.where(lengths > 0, directions / np.maximum(lengths, 1e-9), (0.0, 0.0, 1.0))
    return Landmarks(centers, normals, extents, observations, leaves + np.int32(1))
