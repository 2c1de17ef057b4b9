"""Fisheye lenses: the same pixels as OpenCV, there and back over the whole image, and what is said where they go."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from vloc_ros.cli.localize import _parse_camera
from vloc_ros.datasets.folder import read_camera
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.camera_info import info_fields
from vloc_ros.geometry.fisheye import FisheyeCamera

K = (-0.012, 0.004, -0.002, 0.0004)  # like those of a wide-angle lens of a robot
WIDE = FisheyeCamera(640, 480, 204.0, 204.5, 318.3, 241.1, K)  # 180 degrees over its width


def points_within(degrees: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    angles, turns = np.radians(rng.uniform(0, degrees, 500)), rng.uniform(0, 2 * np.pi, 500)
    rays = np.stack([np.sin(angles) * np.cos(turns), np.sin(angles) * np.sin(turns), np.cos(angles)], axis=1)
    return rays * rng.uniform(0.3, 8, (500, 1))


@pytest.mark.parametrize("coefficients", [K, (0.1, 0.0, 0.0, 0.0), ()])
def test_projects_as_opencv(coefficients: tuple[float, ...]) -> None:
    camera = FisheyeCamera(640, 480, 204.0, 204.5, 318.3, 241.1, coefficients)
    points = points_within(85)
    expected, _ = cv2.fisheye.projectPoints(
        points[:, None], np.zeros(3), np.zeros(3), camera.matrix, np.array(coefficients or (0.0,) * 4)
    )
    assert np.abs(camera.project_through_lens(points) - expected[:, 0]).max() < 1e-6


def test_what_is_beside_and_behind_the_camera_has_its_place_too() -> None:
    camera = FisheyeCamera(640, 480, 100.0, 100.0, 319.5, 239.5)
    beside, behind = camera.project_through_lens(np.array([[2.0, 0.0, 0.0], [0.0, 1.0, -1.0]]))
    assert beside == pytest.approx([319.5 + 100 * np.pi / 2, 239.5])
    assert behind == pytest.approx([319.5, 239.5 + 100 * 3 * np.pi / 4])


@pytest.mark.parametrize("size", [(640, 480), (320, 240)])
def test_there_and_back_over_the_whole_undistorted_image(size: tuple[int, int]) -> None:
    into = WIDE.undistorted().resized(*size)
    pixels = np.stack(np.meshgrid(np.arange(0, size[0], 7.0), np.arange(0, size[1], 7.0)), axis=-1).reshape(-1, 2)
    rays = np.column_stack([(pixels - (into.cx, into.cy)) / (into.fx, into.fy), np.ones(len(pixels))])
    back = WIDE.undistort_pixels(WIDE.project_through_lens(rays), into)
    assert np.abs(back - pixels).max() < 1e-6


def test_the_undistorted_image_is_what_a_pinhole_camera_sees() -> None:
    """A pattern on a wall, seen through the lens."""
    rays = np.stack(np.meshgrid(np.arange(640.0), np.arange(480.0)), axis=-1).reshape(-1, 2)
    seen = WIDE.undistort_pixels(rays, WIDE.undistorted()).astype(np.float32).reshape(480, 640, 2)
    wall = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8), (0, 0), 6)
    image = cv2.remap(wall, seen[..., 0], seen[..., 1], cv2.INTER_LINEAR)
    difference = np.abs(WIDE.undistort(np.asarray(image, np.uint8)).astype(int) - wall)[60:-60, 60:-60]
    assert WIDE.is_distorted
    assert difference.mean() < 1.0
    assert type(WIDE.undistorted()) is Camera


def test_a_smaller_image_has_the_rays_of_the_larger_one() -> None:
    points, small = points_within(85), WIDE.resized(320, 240)
    assert type(small) is FisheyeCamera
    expected = (WIDE.project_through_lens(points) + 0.5) / 2 - 0.5
    assert np.abs(small.project_through_lens(points) - expected).max() < 1e-9


def test_a_camera_txt_and_an_option_name_it(tmp_path: Path) -> None:
    numbers = ["640", "480", "204", "204.5", "318.3", "241.1", *map(str, K)]
    (tmp_path / "camera.txt").write_text(" ".join([*numbers, "fisheye"]) + "\n")
    assert read_camera(tmp_path / "camera.txt") == WIDE
    (tmp_path / "camera.txt").write_text(" ".join([*numbers[:6], "fisheye", "cropped"]) + "\n")
    bare = FisheyeCamera(640, 480, 204.0, 204.5, 318.3, 241.1, cropped=True)
    assert read_camera(tmp_path / "camera.txt") == bare
    (tmp_path / "camera.txt").write_text(" ".join([*numbers[:6], "fisheye", "fisheye"]) + "\n")
    with pytest.raises(DatasetError, match=r"camera\.txt, line 1: camera: 'fisheye' stands twice$"):
        read_camera(tmp_path / "camera.txt")
    assert _parse_camera(",".join([*numbers[2:], "fisheye"]), 640, 480) == WIDE


def test_camera_info_of_it_is_equidistant() -> None:
    fields = info_fields(WIDE)
    assert (fields["distortion_model"], fields["d"]) == ("equidistant", list(K))


@pytest.mark.parametrize(
    ("coefficients", "message"),
    [((0.1,) * 5, "5 distortion coefficients, known are (0, 4)"), ((-1.5, 0.5, 0, 0), "fold over")],
)
def test_what_is_no_such_lens_is_refused(coefficients: tuple[float, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        FisheyeCamera(640, 480, 204.0, 204.5, 318.3, 241.1, coefficients)
    assert message in str(caught.value)
