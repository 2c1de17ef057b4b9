"""Structure from motion, its parts: lenses and models of COLMAP, why images have no pose, matches."""

import numpy as np
import pycolmap
import pytest
from support.photo_scenes import CAMERA

from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera
from vloc_ros.mapping.sfm.lenses import camera_from_colmap, colmap_camera
from vloc_ros.mapping.sfm.matches import mutual_matches
from vloc_ros.mapping.sfm.registration import describe_unregistered, parts_of, require_one_part, unregistered


@pytest.mark.parametrize(
    "camera",
    [
        CAMERA,
        Camera(640, 480, 500.0, 501.0, 322.0, 243.0, (0.1, -0.05, 0.001, 0.002)),
        Camera(640, 480, 500.0, 501.0, 322.0, 243.0, (0.1, -0.05, 0.001, 0.002, 0.01)),
        Camera(640, 480, 500.0, 501.0, 322.0, 243.0, (0.1, -0.05, 0.001, 0.002, 0.01, 0.02, 0.003, 0.001)),
        FisheyeCamera(640, 480, 300.0, 301.0, 322.0, 243.0, (0.02, -0.01, 0.003, 0.001)),
    ],
)
def test_lenses_project_as_colmaps_do(camera: Camera) -> None:
    points = np.random.default_rng(0).uniform((-0.4, -0.3, 1), (0.4, 0.3, 1), (30, 3))
    model, params = colmap_camera(camera)
    theirs = pycolmap.Camera(model=model, width=camera.width, height=camera.height, params=params)
    own = camera.project_through_lens(points) if camera.is_distorted else camera.project(points)[0]
    np.testing.assert_allclose(np.asarray(theirs.img_from_cam(points)) - 0.5, own, atol=1e-6)
    back = camera_from_colmap(model, camera.width, camera.height, [*params, *(0.0,) * (12 - len(params))])
    there = back.project_through_lens(points) if back.is_distorted else back.project(points)[0]
    np.testing.assert_allclose(there, own, atol=1e-9)


@pytest.mark.parametrize("model", ["SIMPLE_RADIAL", "RADIAL", "SIMPLE_PINHOLE", "SIMPLE_RADIAL_FISHEYE"])
def test_models_of_one_focal_length_are_read(model: str) -> None:
    params = [300.0, 160.5, 120.5, *(0.05, -0.02)[: {"SIMPLE_PINHOLE": 0, "RADIAL": 2}.get(model, 1)]]
    theirs = pycolmap.Camera(model=model, width=320, height=240, params=params)
    points = np.random.default_rng(0).uniform((-0.4, -0.3, 1), (0.4, 0.3, 1), (30, 3))
    own = camera_from_colmap(model, 320, 240, params).project_through_lens(points)
    np.testing.assert_allclose(np.asarray(theirs.img_from_cam(points)) - 0.5, own, atol=1e-6)


def test_lenses_that_are_unknown_are_said() -> None:
    with pytest.raises(DatasetError, match="camera model FOV is not supported: undistort"):
        camera_from_colmap("FOV", 640, 480, [500, 500, 320, 240, 0.1])
    with pytest.raises(ConfigError, match="no lens with 12 coefficients"):
        colmap_camera(Camera(640, 480, 500.0, 501.0, 322.0, 243.0, (0.1,) * 12))


def test_why_images_have_no_pose() -> None:
    names = [str(index) for index in range(12)]
    pairs = np.array([(a, a + 1) for a in range(6)] + [(8, 9)], dtype=np.int32)
    parts = parts_of(12, pairs)
    assert parts[:7].tolist() == [0] * 7
    assert parts[8] == parts[9] != 0
    registered = np.arange(12) < 6
    key_points = np.full(12, 500)
    key_points[11] = 3
    reasons = unregistered(names, key_points, pairs, registered)
    assert {names[0]: reason for reason, names in reasons.items()} == {
        "6": "too few of their points are known from other images",
        "7": "no other image shows the same",
        "8": "they hang together with each other only",
        "11": "fewer than 50 key points",
    }
    assert describe_unregistered(reasons, 12)[0] == "6 of 12 images have a pose"
    assert require_one_part("photos", names, parts, largest=False) is None  # two images are no place


def test_matches_are_mutual() -> None:
    rng = np.random.default_rng(0)
    own = rng.normal(size=(50, 16)).astype(np.float32)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    order = rng.permutation(50)
    rows = mutual_matches(own, own[order], 0.99)
    assert len(rows) == 50
    np.testing.assert_array_equal(order[rows[:, 1]], rows[:, 0])
    assert len(mutual_matches(own, own[:0], 0.9)) == 0


def test_what_has_a_second_match_that_is_nearly_as_good_is_left_out() -> None:
    cosines = np.array([0.99, 0.97, 0.5])  # of one descriptor with three others
    own = np.array([[1.0, 0.0]], np.float32)
    others = np.column_stack([cosines, np.sqrt(1 - cosines**2)]).astype(np.float32)
    np.testing.assert_array_equal(mutual_matches(own, others, 0.9, 0.6), [[0, 0]])
    assert len(mutual_matches(own, others, 0.9, 0.5)) == 0  # distances: 0.141 and 0.245
    assert len(mutual_matches(own, others[:1], 0.9, 0.5)) == 1
