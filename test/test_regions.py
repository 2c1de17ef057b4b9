"""Dense labels and the landmarks of regions: coordinates from depth and from rendering agree with the geometry."""

from dataclasses import replace

import numpy as np
import pytest
from support.mapping_scenes import CAMERA, VOXEL, WallAndBox, joined, plane, views, wall_and_box_depth

from vloc_ros.datasets import Frame
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.hierarchy import build_hierarchy, join_hierarchies
from vloc_ros.mapping.regions import RegionLabeller, leaf_landmarks

SCENE = joined(
    plane((-1.501, 2.0, -1.501), (3, 0, 0), (0, 0, 3), (0, -1, 0)),
    plane((-0.3, 1.2, -0.3), (0.6, 0, 0), (0, 0, 0.6), (0, -1, 0)),
    plane((-0.3, 1.2, -0.3), (0, 0.4, 0), (0, 0, 0.6), (-1, 0, 0)),
    plane((0.299, 1.2, -0.3), (0, 0.4, 0), (0, 0, 0.6), (1, 0, 0)),
    plane((-0.3, 1.2, 0.299), (0.6, 0, 0), (0, 0.4, 0), (0, 0, 1)),
    plane((-0.3, 1.2, -0.3), (0.6, 0, 0), (0, 0.4, 0), (0, 0, -1)),
)
HIERARCHY = build_hierarchy(SCENE.points, (4, 5))
DATASET = WallAndBox(views(12))
WIDTH, HEIGHT = CAMERA.width // 2, CAMERA.height // 2


@pytest.fixture(scope="module")
def labeller() -> RegionLabeller:
    return RegionLabeller(SCENE, leaf_landmarks(SCENE, HIERARCHY, DATASET))


@pytest.mark.parametrize("measured", [True, False], ids=["from depth", "rendered"])
def test_coordinates_project_into_their_cells_and_lie_on_the_surface(labeller: RegionLabeller, measured: bool) -> None:
    frame = DATASET.frame(5, depth=measured)
    pose = frame.map_from_camera
    coordinates = labeller.label(frame, WIDTH, HEIGHT)
    assert coordinates.dtype == np.float32
    assert coordinates.shape == (HEIGHT, WIDTH, 3)
    known = np.isfinite(coordinates).all(-1)
    assert known.mean() > 0.5
    np.testing.assert_array_equal(known, np.isfinite(coordinates).any(-1))
    pixels, _ = CAMERA.resized(WIDTH, HEIGHT).project(apply(invert(pose), coordinates[known]))
    np.testing.assert_allclose(pixels, np.argwhere(known)[:, ::-1], atol=1e-3)
    exact = wall_and_box_depth(CAMERA.resized(WIDTH, HEIGHT), pose)[known]
    truth = apply(pose, CAMERA.resized(WIDTH, HEIGHT).rays()[known] * exact[:, None])
    errors = np.linalg.norm(coordinates[known] - truth, axis=1)
    assert np.median(errors) < VOXEL / 2
    assert (errors < 2 * VOXEL).mean() > 0.9  # all but the edges


def test_depth_that_is_not_on_the_surface_has_no_coordinate(labeller: RegionLabeller) -> None:
    frame = DATASET.frame(5, depth=True)
    assert frame.depth is not None
    passing: Frame = replace(frame, depth=np.float32(0.6) * frame.depth)
    assert np.isfinite(labeller.label(passing, WIDTH, HEIGHT)).mean() < 0.1


def test_landmarks_are_the_leaves() -> None:
    landmarks = leaf_landmarks(SCENE, HIERARCHY, DATASET)
    np.testing.assert_array_equal(landmarks.positions, HIERARCHY.leaf_centers)
    leaves = HIERARCHY.assign(SCENE.points)
    np.testing.assert_array_equal(landmarks.point_labels, leaves + 1)
    for leaf in range(len(landmarks)):
        distances = np.linalg.norm(SCENE.points[leaves == leaf] - landmarks.positions[leaf], axis=1)
        assert distances.max() == pytest.approx(landmarks.extents[leaf])
    assert landmarks.observations.max() <= len(DATASET)
    np.testing.assert_allclose(np.linalg.norm(landmarks.normals, axis=1), 1, atol=1e-6)


def test_landmarks_of_one_of_several_places() -> None:
    other = build_hierarchy(SCENE.points + 50, (3, 3))
    alone, among = (
        leaf_landmarks(SCENE, h, DATASET, s) for h, s in ((HIERARCHY, 0), (join_hierarchies([other, HIERARCHY]), 1))
    )
    for name, value in vars(alone).items():
        np.testing.assert_array_equal(value, getattr(among, name), err_msg=name)


def test_a_surface_that_is_not_the_hierarchys_is_refused() -> None:
    with pytest.raises(ConfigError, match="of the place's 20 leaves"):
        leaf_landmarks(plane((0, 2, 0), (1, 0, 0), (0, 0, 1), (0, -1, 0)), HIERARCHY, DATASET)
