"""Labels from depth and from rendering agree with each other and with the geometry."""

import numpy as np
import pytest
from support.mapping_scenes import CAMERA, VOXEL, WallAndBox, joined, plane, views, wall_and_box_depth

from vloc_ros.errors import DatasetError
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.labels import Labeller, reduce_depth
from vloc_ros.mapping.landmarks import Landmarks, build_landmarks
from vloc_ros.mapping.splatting import render
from vloc_ros.mapping.supervoxels import segment
from vloc_ros.mapping.surface import Surface

WALL = plane((-1.501, 2.0, -1.501), (3, 0, 0), (0, 0, 3), (0, -1, 0))
BOX = joined(
    plane((-0.3, 1.2, -0.3), (0.6, 0, 0), (0, 0, 0.6), (0, -1, 0)),
    plane((-0.3, 1.2, -0.3), (0, 0.4, 0), (0, 0, 0.6), (-1, 0, 0)),
    plane((0.299, 1.2, -0.3), (0, 0.4, 0), (0, 0, 0.6), (1, 0, 0)),
    plane((-0.3, 1.2, 0.299), (0.6, 0, 0), (0, 0.4, 0), (0, 0, 1)),
    plane((-0.3, 1.2, -0.3), (0.6, 0, 0), (0, 0.4, 0), (0, 0, -1)),
)
SCENE = joined(WALL, BOX)
DATASET = WallAndBox(views(12))


@pytest.fixture(scope="module")
def landmarks() -> Landmarks:
    return build_landmarks(SCENE, segment(SCENE, 0.25), DATASET, min_observations=3)


@pytest.mark.parametrize("index", [0, 5, 11])
@pytest.mark.parametrize("size", [(160, 120), (80, 60)])
def test_depth_and_rendering_agree(landmarks: Landmarks, index: int, size: tuple[int, int]) -> None:
    labeller, pose = Labeller(SCENE, landmarks), DATASET.map_from_camera(index)
    by_depth = labeller.label(CAMERA, pose, wall_and_box_depth(CAMERA, pose), *size)
    rendered = labeller.label(CAMERA, pose, None, *size)
    assert by_depth.shape == (size[1], size[0])
    assert by_depth.dtype == rendered.dtype == np.int32
    assert (by_depth == rendered).mean() > 0.95


def test_labels_are_those_of_the_nearest_surface_point(landmarks: Landmarks) -> None:
    pose = DATASET.map_from_camera(4)
    depth = wall_and_box_depth(CAMERA, pose)
    labels = Labeller(SCENE, landmarks).label(CAMERA, pose, depth, CAMERA.width, CAMERA.height)
    rows, columns = np.nonzero(depth)
    chosen = np.random.default_rng(0).choice(len(rows), 300, replace=False)
    rows, columns = rows[chosen], columns[chosen]
    points = apply(pose, CAMERA.rays()[rows, columns] * depth[rows, columns, None])
    nearest = np.linalg.norm(points[:, None] - SCENE.points[None], axis=2).argmin(axis=1)
    assert (labels[rows, columns] == landmarks.point_labels[nearest]).mean() > 0.9  # half a voxel off at the borders


def test_a_landmark_projects_into_its_own_patch(landmarks: Landmarks) -> None:
    pose = DATASET.map_from_camera(6)
    depth = wall_and_box_depth(CAMERA, pose)
    labels = Labeller(SCENE, landmarks).label(CAMERA, pose, depth, 160, 120)
    pixels, depths = CAMERA.project(apply(invert(pose), landmarks.positions))
    inside = np.flatnonzero(((pixels >= 0) & (pixels.round() < (160, 120))).all(axis=1))
    x, y = pixels[inside].round().astype(int).T
    visible = np.abs(depths[inside] - depth[y, x]) < VOXEL
    assert visible.sum() > 10
    assert (labels[y, x] == inside + 1)[visible].mean() > 0.95


def test_pixels_without_depth_show_the_rendering(landmarks: Landmarks) -> None:
    labeller, pose = Labeller(SCENE, landmarks), DATASET.map_from_camera(6)
    nothing = np.zeros((CAMERA.height, CAMERA.width), dtype=np.float32)
    by_depth, rendered = (labeller.label(CAMERA, pose, depth, 80, 60) for depth in (nothing, None))
    np.testing.assert_array_equal(by_depth, rendered)


def test_off_the_surface_is_label_zero(landmarks: Landmarks) -> None:
    labeller, pose = Labeller(SCENE, landmarks), DATASET.map_from_camera(6)
    in_the_air = np.full((CAMERA.height, CAMERA.width), 0.5, dtype=np.float32)
    assert not labeller.label(CAMERA, pose, in_the_air, 80, 60).any()
    away = pose @ np.diag([-1.0, 1.0, -1.0, 1.0])
    assert not labeller.label(CAMERA, away, None, 80, 60).any()


def test_the_front_hides_the_back() -> None:
    near = plane((-0.5, 1.0, -0.5), (1, 0, 0), (0, 0, 1), (0, -1, 0))
    far = plane((-0.5, 1.1, -0.5), (1, 0, 0), (0, 0, 1), (0, -1, 0))
    both = joined(near, far)
    labels = np.where(both.points[:, 1] < 1.05, 1, 2).astype(np.int32)
    pose = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])  # at the origin, looking along +y
    image = render(both, labels, CAMERA.resized(320, 240), pose)
    assert (image[60:180, 80:240] == 1).all(), "no holes, nothing shines through"


def test_a_depth_image_of_another_size_is_refused(landmarks: Landmarks) -> None:
    with pytest.raises(DatasetError, match=r"\(10, 10\)"):
        Labeller(SCENE, landmarks).label(CAMERA, np.eye(4), np.ones((10, 10), dtype=np.float32), 80, 60)


def test_reduced_depth_is_a_measured_value() -> None:
    rng = np.random.default_rng(3)
    depth = rng.choice(np.array([0.0, 1.0, 1.01, 3.0], dtype=np.float32), (48, 64))
    for width, height in ((16, 12), (20, 17), (64, 48), (100, 90)):
        reduced = reduce_depth(depth, width, height)
        assert reduced.shape == (height, width)
        assert set(np.unique(reduced)) <= set(np.unique(depth))
    np.testing.assert_array_equal(reduce_depth(depth, 64, 48), depth)
    block = np.zeros((4, 4), dtype=np.float32)
    block[0, :3] = 2.0
    assert reduce_depth(block, 1, 1) == 0.0, "three of sixteen are too few"


def test_landmarks_lie_on_their_patches(landmarks: Landmarks) -> None:
    for k in range(len(landmarks)):
        points = SCENE.points[landmarks.point_labels == k + 1]
        distance = np.linalg.norm(points - landmarks.positions[k], axis=1)
        assert distance.min() == 0.0
        assert distance.max() == pytest.approx(landmarks.extents[k])


def test_patches_that_too_few_images_see_are_dropped(landmarks: Landmarks) -> None:
    hidden = plane((-0.5, 4.0, -0.5), (1, 0, 0), (0, 0, 1), (0, -1, 0))  # behind the wall
    scene: Surface = joined(SCENE, hidden)
    found = build_landmarks(scene, segment(scene, 0.25), DATASET, min_observations=3)
    assert (found.observations >= 3).all()
    assert found.observations.max() <= len(DATASET)
    assert (found.point_labels[scene.points[:, 1] > 3.5] == 0).all()
    assert set(np.unique(found.point_labels)) == set(range(len(found) + 1))
    with pytest.raises(DatasetError, match="100 of 12"):
        build_landmarks(SCENE, segment(SCENE, 0.25), DATASET, min_observations=100)
