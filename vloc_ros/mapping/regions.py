"""What each cell of an image shows of a hierarchy of regions: its leaf and its scene coordinate."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply
from vloc_ros.mapping.hierarchy import Hierarchy, divide
from vloc_ros.mapping.labels import Labeller, undistorted_depth
from vloc_ros.mapping.landmarks import Landmarks, build_landmarks
from vloc_ros.mapping.splatting import render
from vloc_ros.mapping.surface import Surface
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]
Ints = NDArray[np.int32]

MIN_COSINE = 0.2  # between a viewing ray and the surface's plane; flatter ones meet it anywhere


def leaf_landmarks(
    surface: Surface, hierarchy: Hierarchy, dataset: Dataset, place: int = 0, advance: Advance = no_advance
) -> Landmarks:
    """One landmark for each leaf of a place, in their order and at their centres.

    Extents reach the farthest point of the surface, normals are those at the point nearest to the leaf's mean. Raises
    ConfigError for a surface that does not reach every leaf: it is not the one that the hierarchy was made from.
    """
    centers, leaves, extents = divide(hierarchy, surface.points, place)
    return replace(build_landmarks(surface, leaves, dataset, 0, advance), positions=centers, extents=extents)


class RegionLabeller:
    """Labels images by leaf and coordinate; safe to share between threads."""

    def __init__(self, surface: Surface, landmarks: Landmarks) -> None:
        """`landmarks` as `leaf_landmarks` makes them: label k is the place's leaf k - 1."""
        self._surface = surface
        self._labeller = Labeller(surface, landmarks)
        self._numbers = np.arange(1, len(surface) + 1, dtype=np.int32)

    def label(self, frame: Frame, width: int, height: int) -> NDArray[np.float32]:
        """Coordinates (height, width, 3), metres of the map's frame, of what the frame's camera (without its
        distortion) sees; NaN where that is not on the surface, or nothing. Cells of unknown depth show the rendered
        surface. Raises DatasetError as `Labeller.label`."""
        camera, map_from_camera = frame.image.camera, frame.map_from_camera
        small = camera.undistorted().resized(width, height)
        shown = render(self._surface, self._numbers, small, map_from_camera)
        seen = self._rendered_depth(shown, small, map_from_camera)
        if frame.depth is not None:
            measured = undistorted_depth(camera, frame.depth, width, height)
            near_surface = self._labeller.look_up(measured, small, map_from_camera) > 0
            seen = np.where(measured > 0, np.where(near_surface, measured, 0.0), seen)
        points = apply(map_from_camera, (small.rays() * seen[..., None]).reshape(-1, 3)).reshape(height, width, 3)
        return np.where(seen[..., None] > 0, points, np.nan).astype(np.float32)

    def _rendered_depth(self, shown: Ints, camera: Camera, map_from_camera: Float) -> Float:
        """Depth (H, W) of the surface, given the number of the point that each pixel shows, 0 for none: where its ray
        meets the plane of the point; the point's own depth where it passes the plane too flatly."""
        rows = np.maximum(shown - 1, 0)
        rotation, origin = map_from_camera[:3, :3], map_from_camera[:3, 3]
        points = (self._surface.points[rows] - origin) @ rotation
        normals = self._surface.normals[rows] @ rotation
        rays = camera.rays()
        toward = (rays * normals).sum(-1)
        steep = np.abs(toward) > MIN_COSINE * np.linalg.norm(rays, axis=-1)
        onto_plane = (points * normals).sum(-1) / np.where(steep, toward, 1.0)
        near = np.abs(onto_plane - points[..., 2]) < 2 * self._surface.voxel_size
        return np.where(shown > 0, np.where(steep & near, onto_plane, points[..., 2]), 0.0)
