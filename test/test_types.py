"""Value types refuse what no camera, image, map or pose can be; cameras project and resize."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from support.map_files import make_map

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.model_spec import GridSpec
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate
from vloc_ros.datasets.registration import undistort_depth
from vloc_ros.errors import ConfigError, VlocError
from vloc_ros.geometry.camera import Camera
from vloc_ros.methods.vsnet.method import VSNetMethod

CAMERA = Camera(640, 480, 525.0, 520.0, 319.5, 239.5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 0}, "0x480 is empty"),
        ({"fx": 0.0}, "must be positive"),
        ({"fy": -1.0}, "must be positive"),
        ({"cx": float("nan")}, "not all finite"),
        ({"distortion": (0.1, 0.2)}, "2 distortion coefficients"),
        ({"distortion": (0.1, 0.2, 0.0, float("inf"))}, "not all finite"),
        (
            {"cx": 639.5, "cy": 479.5},
            r"\(639.5, 479.5\) is not well inside .* resolution, 1280x960, 2 times as large\?",
        ),
        ({"cx": 479.5, "cy": 359.5}, "960x720, 1.5 times"),
        ({"cx": 213.0, "cy": 159.5}, "427x320, 0.67 times"),
        ({"cx": 239.5, "cy": 179.5}, "480x360, 0.75 times"),
        ({"cx": 426.2, "cy": 319.5}, "853.4x640, 1.3 times"),
        ({"cx": 168.0, "cy": 112.0}, "337x225, 0.5 times"),  # half of a lens that is off by 13 pixels
        ({"cx": 423.5}, "848x480.*say so"),  # as wide or as high as another mode of the camera
        ({"cy": 179.5}, "640x360"),
        ({"cx": 959.5, "cy": 539.5}, r"another resolution, 1920x1080\?"),
        ({"cx": 0.5, "cy": 0.5}, "normalised"),
        ({"cx": 3195.0, "cy": 2395.0}, "10 times"),
        ({"cx": 0.0}, "another image, or is this one cropped"),
        ({"cy": -200.0}, "another image, or is this one cropped"),
        ({"cx": 1e300, "cy": 1e300}, "another resolution"),
    ],
)
def test_cameras_that_do_not_exist(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(CAMERA, **change)


@pytest.mark.parametrize(
    "size_and_centre",
    [
        (640, 480, 290.0, 270.0),  # a lens that is far off its centre
        (640, 320, 319.5, 79.5),  # 160 rows cut off at the top
        (480, 480, 159.5, 239.5),  # 160 columns cut off on the left
        (1242, 375, 609.6, 172.9),  # KITTI
        (800, 600, 469.8, 180.4),  # a calibration file of a robot's camera
    ],
)
def test_odd_but_real_principal_points_are_taken(size_and_centre: tuple[int, int, float, float]) -> None:
    width, height, cx, cy = size_and_centre
    camera = Camera(width, height, 500.0, 500.0, cx, cy)
    assert camera.resized(width // 2, height // 2).resized(width, height).cx == pytest.approx(cx)


def test_of_a_cropped_image_the_principal_point_may_be_anywhere() -> None:
    assert Camera(640, 480, 500.0, 500.0, 423.5, 239.5, cropped=True).cx == 423.5
    assert Camera(440, 330, 525.0, 525.0, 120.5, 90.5, cropped=True).cx == 120.5


def test_a_window_may_be_anywhere_inside() -> None:
    window = CAMERA.window(400, 300, 200, 100)
    assert window.project(np.array([[0.1, 0.2, 1.0]]))[0] + [400, 300] == pytest.approx(
        CAMERA.project(np.array([[0.1, 0.2, 1.0]]))[0]
    )
    assert window.resized(100, 50).undistorted().width == 100
    assert CAMERA.window(0, 0, 640, 480) is CAMERA
    for region in [(-1, 0, 10, 10), (631, 0, 10, 10), (0, 471, 10, 10)]:
        with pytest.raises(ConfigError, match="not inside the 640x480 image"):
            CAMERA.window(*region)


def test_the_field_of_view_is_that_of_the_width() -> None:
    assert Camera(640, 480, 320.0, 320.0, 319.5, 239.5).field_of_view_deg == pytest.approx(90)


def test_resizing_a_camera_and_back_is_nothing() -> None:
    assert CAMERA.resized(320, 120).resized(640, 480) == CAMERA


def test_a_point_keeps_its_place_in_a_resized_image() -> None:
    point = np.array([[0.3, -0.2, 2.0]])
    (x, y), (u, v) = CAMERA.project(point)[0][0], CAMERA.resized(160, 240).project(point)[0][0]
    assert (u + 0.5, v + 0.5) == pytest.approx(((x + 0.5) / 4, (y + 0.5) / 2))


def test_projection_inverts_rays_and_hides_what_is_behind() -> None:
    rays = CAMERA.rays()
    pixels, depth = CAMERA.project(rays.reshape(-1, 3) * 2.5)
    assert pixels.reshape(480, 640, 2)[17, 333] == pytest.approx([333, 17])
    assert depth == pytest.approx(2.5)
    assert np.isnan(CAMERA.project(np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 0.0]]))[0]).all()


@pytest.mark.parametrize(
    "distortion",
    [
        (-0.3, 0.1, 0.001, -0.002),
        (-0.3, 0.1, 0.001, -0.002, -0.02),
        (0.3, 0.1, 0.001, 0.0, 0.01, 0.5, 0.1, 0.02),
        (0.3, 0.1, 0.001, 0.0, 0.01, 0.5, 0.1, 0.02, 0.02, -0.01, 0.03, 0.01),
        (0.3, 0.1, 0.001, 0.0, 0.01, 0.5, 0.1, 0.02, 0.02, -0.01, 0.03, 0.01, 0.05, -0.04),
    ],
    ids=len,
)
def test_undistorting_moves_what_the_lens_shows_to_where_the_pinhole_sees_it(distortion: tuple[float, ...]) -> None:
    camera = replace(CAMERA, distortion=distortion)
    point = np.array([[0.25, -0.15, 1.0]])
    seen = cv2.projectPoints(point, np.zeros(3), np.zeros(3), camera.matrix, np.array(distortion))[0].ravel()
    assert np.linalg.norm(seen - camera.project(point)[0][0]) > 1.5  # there is something to undo
    u, v = seen.round().astype(int)
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    image[v - 1 : v + 2, u - 1 : u + 2] = 255
    depth = image[..., 0].astype(np.float32)
    for undistorted in (camera.undistort(image)[..., 0], undistort_depth(camera, depth)):
        rows, columns = np.nonzero(undistorted > 127)
        assert np.allclose([columns.mean(), rows.mean()], camera.project(point)[0][0], atol=1.0)


def test_extra_coefficients_of_zero_change_nothing() -> None:
    camera = replace(CAMERA, distortion=(0.3, 0.1, 0.001, 0.0, 0.01, 0.5, 0.1, 0.02))
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    for extra in (4, 6):
        longer = replace(camera, distortion=camera.distortion + (0.0,) * extra)
        assert (longer.undistort(image) == camera.undistort(image)).all()


def test_undistorting_without_distortion_copies_nothing() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    assert CAMERA.undistort(image) is image
    assert replace(CAMERA, distortion=(0.0,) * 5).undistort(image) is image


@pytest.mark.parametrize(
    "rgb",
    [
        np.zeros((480, 640, 3), np.float32),
        np.zeros((480, 640), np.uint8),
        np.zeros((480, 640, 4), np.uint8),
        np.zeros((0, 640, 3), np.uint8),
        np.zeros((240, 320, 3), np.uint8),
    ],
)
def test_images_that_do_not_suit(rgb: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="image: "):
        CameraImage(rgb, CAMERA)


def correspondences(count: int = 5) -> Correspondences:
    return Correspondences(np.zeros((count, 2)), np.zeros((count, 3)), np.ones(count), np.arange(count, dtype=np.int32))


def test_correspondences_index_together() -> None:
    picked = correspondences()[np.array([False, True, False, True, False])]
    assert picked.landmark_ids.tolist() == [1, 3]
    assert len(picked) == 2
    assert len(Correspondences.empty()) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pixels": np.full((5, 2), np.nan)}, "pixels: 10 values are not finite"),
        ({"points": np.zeros((4, 3))}, r"map points: shape \(4, 3\)"),
        ({"sigmas": np.zeros(5)}, "must be positive"),
        ({"landmark_ids": np.zeros((5, 1), np.int32)}, "landmark ids: shape"),
    ],
)
def test_correspondences_that_do_not_fit(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(correspondences(), **change)


def estimate() -> PoseEstimate:
    return PoseEstimate(np.eye(4), np.eye(6), correspondences(), np.array([True, True, True, False, False]), 1.0)


def test_inliers_are_counted() -> None:
    assert estimate().inlier_count == 3
    assert estimate().inlier_ratio == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"map_from_camera": np.full((4, 4), np.nan)}, "not finite"),
        ({"map_from_camera": np.diag([2.0, 1.0, 1.0, 1.0])}, "orthonormal"),
        ({"covariance": np.full((6, 6), np.inf)}, "covariance: 36 values are not finite"),
        ({"inliers": np.ones(3, bool)}, "inliers: shape"),
    ],
)
def test_poses_that_cannot_be(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(estimate(), **change)


def test_maps_without_landmarks_or_with_nan() -> None:
    spec = GridSpec(640, 480, 4, VSNetMethod.outputs)
    manifest = Manifest("vsnet", "map", "2025-01-01T00:00:00Z", spec.image_size, spec.models)

    def make(count: int, value: float) -> LandmarkMap:
        rows = np.full((count, 3), value)
        ids = np.arange(count, dtype=np.int32)
        return LandmarkMap(ids, rows, np.eye(3)[:count], rows[:, 0], ids, manifest)

    assert len(make(3, 1.0)) == 3
    with pytest.raises(ConfigError, match="no landmarks"):
        make(0, 1.0)
    with pytest.raises(VlocError, match="landmark positions: 9 values are not finite"):
        make(3, np.nan)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("positions", 1e300, r"row 1 has the position \[1e\+300, "),
        ("normals", 0.0, r"row 1 has the normal \[0.0, 0.0, 0.0\]"),
        ("normals", 1e300, "row 1 has the normal"),
        ("extents", -0.1, "row 1 has the extent -0.1"),
        ("observations", -1, "row 1 has the observation count -1"),
        ("mapping_views", 1.0, "mapping view 1 has "),
        ("mapping_views", 1e200, "mapping view 1 has "),
    ],
)
def test_maps_of_numbers_that_cannot_be(name: str, value: float, message: str) -> None:
    landmark_map = make_map()
    values = getattr(landmark_map, name).copy()
    values[1] = value
    with pytest.raises(ConfigError, match=message):
        replace(landmark_map, **{name: values})


def test_mapping_views_that_mirror_or_are_rounded() -> None:
    landmark_map = make_map()
    rounded = landmark_map.mapping_views.astype(np.float32).astype(np.float64)
    assert len(replace(landmark_map, mapping_views=rounded).mapping_views) == 3
    rounded[2, :3, 0] *= -1
    with pytest.raises(ConfigError, match="mapping view 2 has a rotation part that mirrors"):
        replace(landmark_map, mapping_views=rounded)
