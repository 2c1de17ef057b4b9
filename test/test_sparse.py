"""Sparse points: what is sampled from depth or read from a COLMAP model projects where it should, and so do labels."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from support.lens import through_lens
from support.mapping_scenes import CAMERA, WallAndBox, views, wall_and_box_depth

from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.hierarchy import build_hierarchy, join_hierarchies
from vloc_ros.mapping.sparse import (
    SparseLabeller,
    SparsePoints,
    point_cloud,
    sparse_landmarks,
    sparsified_depth,
)

DISTORTED = replace(CAMERA, distortion=(-0.25, 0.08, 0.001, -0.001))
WIDTH, HEIGHT = CAMERA.width // 2, CAMERA.height // 2


@dataclass(frozen=True)
class Textured(WallAndBox):
    """The wall and the box with blobs on them that have corners, seen through a lens if `distorted`."""

    distorted: bool = False

    def camera(self, index: int) -> Camera:
        return DISTORTED if self.distorted else CAMERA

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        plain = super().frame(index, depth=True)
        assert plain.depth is not None
        rays = CAMERA.rays() * plain.depth[..., None]
        points = apply(self.poses[index], rays.reshape(-1, 3)).reshape(rays.shape)
        checks = (np.floor(points / 0.15).sum(-1) % 2).astype(np.uint8)
        rgb, measured = np.repeat(checks[..., None] * 200, 3, axis=2), plain.depth
        if self.distorted:
            rgb = through_lens(rgb, DISTORTED, cv2.INTER_LINEAR)
            measured = through_lens(measured, DISTORTED, cv2.INTER_NEAREST)
        camera = self.camera(index)
        return Frame(plain.name, CameraImage(rgb, camera), plain.map_from_camera, measured if depth else None)


DATASET = Textured(views(8))


@pytest.fixture(scope="module")
def points() -> SparsePoints:
    return sparsified_depth(DATASET, corners=150)


def exact_surface(index: int, coordinates: np.ndarray) -> np.ndarray:
    """Distances along the viewing ray of points (N, 3) from the place that the camera sees there."""
    pose = DATASET.map_from_camera(index)
    pixels, depth = CAMERA.project(apply(invert(pose), coordinates))
    u, v = np.rint(pixels).astype(int).T
    away: np.ndarray = np.abs(wall_and_box_depth(CAMERA, pose)[v, u] - depth)
    return away


@pytest.mark.parametrize("distorted", [False, True])
def test_sparsified_depth_lies_on_the_surface_at_corners(distorted: bool) -> None:
    dataset = Textured(views(4), distorted=distorted)
    points = sparsified_depth(dataset, corners=100)
    assert set(points.seen) == set(dataset.names)
    for index, name in enumerate(dataset.names):
        seen = points.positions[points.seen[name]]
        assert 20 < len(seen) <= 100
        pose = dataset.map_from_camera(index)
        pixels, depth = CAMERA.project(apply(invert(pose), seen))
        np.testing.assert_allclose(pixels, np.rint(pixels), atol=1e-4)
        u, v = np.rint(pixels).astype(int).T
        away = np.abs(wall_and_box_depth(CAMERA, pose)[v, u] - depth)
        assert np.median(away) < 1e-3
        assert len(np.unique(np.stack([u, v]), axis=1).T) == len(seen)


def test_sparsified_depth_is_deterministic(points: SparsePoints) -> None:
    again = sparsified_depth(DATASET, corners=150)
    np.testing.assert_array_equal(points.positions, again.positions)


def test_a_place_without_corners_has_no_points() -> None:
    with pytest.raises(DatasetError, match="0 points"):
        sparsified_depth(WallAndBox(views(2)), corners=100)


def test_the_summary_counts_frames_that_see_nothing(points: SparsePoints) -> None:
    few = SparsePoints(points.positions, {"0": points.seen["0"]})
    assert "1 of 8 frames" in few.summary(DATASET)


@pytest.mark.parametrize("reach", [0, 3, 5, 9])
def test_labels_are_points_that_project_within_reach(points: SparsePoints, reach: int) -> None:
    frame = DATASET.frame(3)
    coordinates = SparseLabeller(points, reach).label(frame, WIDTH, HEIGHT)
    assert coordinates.shape == (HEIGHT, WIDTH, 3)
    assert coordinates.dtype == np.float32
    known = np.isfinite(coordinates).all(-1)
    np.testing.assert_array_equal(known, np.isfinite(coordinates).any(-1))
    network = CAMERA.resized(2 * WIDTH, 2 * HEIGHT)
    seen = points.positions[points.seen[frame.name]]
    inputs, _ = network.project(apply(invert(frame.map_from_camera), seen))
    cells = 2 * np.argwhere(np.ones_like(known))[:, ::-1]  # pixels of the input that labels are taken from
    nearest = np.abs(cells[:, None] - np.rint(inputs)).max(-1).min(1).reshape(known.shape)
    np.testing.assert_array_equal(known, nearest <= reach)
    own = {tuple(p) for p in seen.astype(np.float32)}
    assert all(tuple(p) in own for p in coordinates[known])
    pixels, _ = network.project(apply(invert(frame.map_from_camera), coordinates[known]))
    away = np.abs(np.rint(pixels) - 2 * np.argwhere(known)[:, ::-1]).max(-1)
    np.testing.assert_array_equal(away, nearest[known])


def test_of_several_points_in_a_pixel_the_nearest_is_its_label() -> None:
    frame = DATASET.frame(0)
    ray = CAMERA.rays()[60, 80]
    stacked = apply(frame.map_from_camera, ray * np.array([[2.0], [1.0], [3.0]]))
    label = SparseLabeller(SparsePoints(stacked, {"0": np.arange(3, dtype=np.int32)}), 2).label(frame, WIDTH, HEIGHT)
    assert np.isfinite(label).all(-1).sum() == 9  # every other of 5 x 5 pixels
    np.testing.assert_allclose(label[np.isfinite(label).all(-1)], np.tile(stacked[1], (9, 1)), atol=1e-6)


def test_points_behind_and_beside_the_camera_are_no_labels() -> None:
    frame = DATASET.frame(0)
    hidden = apply(frame.map_from_camera, np.array([[0.0, 0, -1], [5, 0, 1], [0, -5, 1]]))
    labeller = SparseLabeller(SparsePoints(hidden, {"0": np.arange(3, dtype=np.int32)}), 5)
    assert np.isnan(labeller.label(frame, WIDTH, HEIGHT)).all()
    assert np.isnan(labeller.label(DATASET.frame(1), WIDTH, HEIGHT)).all()  # which sees nothing


def test_a_negative_reach_is_refused(points: SparsePoints) -> None:
    with pytest.raises(ConfigError, match="reach -1"):
        SparseLabeller(points, -1)


def test_the_cloud_has_one_point_a_voxel(points: SparsePoints) -> None:
    cloud = point_cloud(points, 0.1)
    assert len(np.unique(np.floor(cloud / 0.1), axis=0)) == len(cloud) < len(points.positions)
    assert len(np.unique(np.floor(points.positions / 0.1), axis=0)) == len(cloud)
    assert {tuple(p) for p in cloud} <= {tuple(p) for p in points.positions}


def test_landmarks_are_the_leaves(points: SparsePoints) -> None:
    hierarchy = build_hierarchy(point_cloud(points), (4, 5))
    landmarks = sparse_landmarks(points, hierarchy, DATASET)
    np.testing.assert_array_equal(landmarks.positions, hierarchy.leaf_centers)
    leaves = hierarchy.assign(points.positions)
    np.testing.assert_array_equal(landmarks.point_labels, leaves + 1)
    np.testing.assert_allclose(np.linalg.norm(landmarks.normals, axis=1), 1)
    for leaf in range(len(landmarks)):
        own = np.flatnonzero(leaves == leaf)
        distances = np.linalg.norm(points.positions[own] - landmarks.positions[leaf], axis=1)
        assert distances.max() == pytest.approx(landmarks.extents[leaf])
        views_of_it = [i for i, name in enumerate(DATASET.names) if np.isin(points.seen[name], own).any()]
        assert landmarks.observations[leaf] == len(views_of_it)
        toward = [DATASET.map_from_camera(i)[:3, 3] - landmarks.positions[leaf] for i in views_of_it]
        assert min(float(t @ landmarks.normals[leaf]) for t in toward) > 0


def test_landmarks_of_one_of_several_places(points: SparsePoints) -> None:
    hierarchy = build_hierarchy(point_cloud(points), (3, 4))
    joined = join_hierarchies([build_hierarchy(points.positions + 50, (2, 2)), hierarchy])
    alone, among = sparse_landmarks(points, hierarchy, DATASET), sparse_landmarks(points, joined, DATASET, 1)
    for name, value in vars(alone).items():
        np.testing.assert_array_equal(value, getattr(among, name), err_msg=name)


def test_points_that_are_not_the_hierarchys_are_refused(points: SparsePoints) -> None:
    few = SparsePoints(points.positions[:1], {"0": np.zeros(1, dtype=np.int32)})
    with pytest.raises(ConfigError, match="reach 1 of the place's 20 leaves"):
        sparse_landmarks(few, build_hierarchy(point_cloud(points), (4, 5)), DATASET)
