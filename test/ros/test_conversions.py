"""Messages to types and back: round trips, what a camera_info means, and what is refused."""

import array
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("tf2_ros", reason="ROS 2 is not installed")

from geometry_msgs.msg import Quaternion, Transform, Vector3
from robot import camera_info, compressed_image, raw_image
from sensor_msgs.msg import CompressedImage, RegionOfInterest
from sensor_msgs_py import point_cloud2

from vloc_ros.core.camera import Camera
from vloc_ros.core.camera_info import InfoOptions, read_camera_info
from vloc_ros.core.transforms import from_quaternion
from vloc_ros.errors import ConfigError
from vloc_ros.ros import conversions

HEIGHT, WIDTH = 6, 8
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
CAMERA = Camera(640, 480, 500.0, 510.0, 320.5, 239.5, (-0.1, 0.02, 0.001, -0.001, 0.0))
POSE = from_quaternion((0.1, -0.2, 0.3, 0.9), (1.0, -2.0, 3.0))


@pytest.mark.parametrize("padding", [0, 1, 2, 3, 40])
def test_padding_of_any_size_is_cut(padding: int) -> None:
    padded = np.pad(RGB.reshape(HEIGHT, -1), ((0, 0), (0, padding)), constant_values=7)
    message = raw_image(RGB, step=padded.shape[1], data=padded.tobytes())
    np.testing.assert_array_equal(conversions.to_rgb(message), RGB)


def test_more_data_than_needed_are_ignored() -> None:
    message = raw_image(RGB, data=RGB.tobytes() + b"more")
    np.testing.assert_array_equal(conversions.to_rgb(message), RGB)


def test_grey_becomes_rgb() -> None:
    grey = np.ascontiguousarray(RGB[..., 0])
    message = raw_image(RGB, encoding="mono8", step=WIDTH, data=grey.tobytes())
    np.testing.assert_array_equal(conversions.to_rgb(message), np.repeat(grey[..., None], 3, axis=2))


def test_an_image_there_and_back() -> None:
    message = conversions.to_image(conversions.header(5, "camera"), RGB)
    assert message.header.frame_id == "camera"
    np.testing.assert_array_equal(conversions.to_rgb(message), RGB)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoding": "sepia7"}, "cannot be converted"),
        ({"encoding": ""}, "cannot be converted"),
        ({"data": b"123"}, "3 bytes, its step 24 needs 144"),
        ({"step": 0}, "its step is 0, its rows have 24 bytes"),
        ({"step": 23, "data": bytes(200)}, "its step is 23, its rows have 24 bytes"),
        ({"width": 0}, "it is empty"),
        ({"height": 0}, "it is empty"),
        ({"width": 2**32 - 1}, "its rows have"),
        ({"height": 2**32 - 1}, "its step 24 needs"),
    ],
)
def test_an_image_that_is_none_is_refused_in_one_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        conversions.to_rgb(raw_image(RGB, **changes))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_compressed_image_is_rgb() -> None:
    np.testing.assert_array_equal(conversions.to_rgb(compressed_image(RGB, 0, "png")), RGB)
    smooth = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    off = conversions.to_rgb(compressed_image(smooth, 0, "jpeg")).astype(int) - smooth
    assert np.abs(off).max() < 5


@pytest.mark.parametrize("kept", [0, 1, 2, 10, 200, -3])
def test_a_jpeg_that_does_not_end_is_refused(kept: int) -> None:
    message = compressed_image(cv2.resize(RGB, (64, 64)), 0)
    message.data = message.data[:kept]
    with pytest.raises(ConfigError, match=r"truncated|empty|cannot be decoded"):
        conversions.to_rgb(message)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be decoded"):
        conversions.to_rgb(CompressedImage(format="jpeg", data=array.array("B", b"plain text")))


def test_the_camera_of_a_camera_info() -> None:
    sensor = read_camera_info(camera_info(CAMERA))
    assert sensor.sent == sensor.whole == CAMERA
    straight = read_camera_info(camera_info(CAMERA), InfoOptions(rectified=True)).sent
    assert not straight.is_distorted
    assert straight.fx == CAMERA.fx


def test_binned_pixels_are_those_of_the_smaller_image() -> None:
    camera = read_camera_info(camera_info(CAMERA, binning_x=2, binning_y=4)).sent
    assert camera == CAMERA.resized(320, 120)


def test_a_region_of_interest_sees_the_same_rays() -> None:
    roi = RegionOfInterest(x_offset=100, y_offset=50, width=200, height=100)
    camera = read_camera_info(camera_info(CAMERA, roi=roi)).sent
    point = np.array([[0.1, -0.05, 1.0]])
    assert (camera.width, camera.height) == (200, 100)
    np.testing.assert_allclose(camera.project(point)[0] + [100, 50], CAMERA.project(point)[0])


@pytest.mark.parametrize(
    "changes",
    [{"k": [0.0] * 9}, {"k": [float("nan")] * 9}, {"width": 0}, {"binning_x": 10000}, {"d": [0.1] * 6}],
)
def test_a_camera_that_is_none_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^camera_info "):
        read_camera_info(camera_info(CAMERA, **changes))


def test_transforms_there_and_back() -> None:
    np.testing.assert_allclose(conversions.to_matrix(conversions.to_transform(POSE)), POSE, atol=1e-12)
    stamped = conversions.to_transform_stamped(POSE, "map", "odom", 1_500_000_001)
    assert (stamped.header.frame_id, stamped.child_frame_id) == ("map", "odom")
    assert (stamped.header.stamp.sec, stamped.header.stamp.nanosec) == (1, 500_000_001)
    pose = conversions.to_pose(POSE)
    assert pose.orientation == stamped.transform.rotation
    assert (pose.position.x, pose.position.y, pose.position.z) == (1, -2, 3)


@pytest.mark.parametrize(
    "transform",
    [
        Transform(rotation=Quaternion(x=0.0, y=0.0, z=0.0, w=0.0)),
        Transform(rotation=Quaternion(w=float("nan"))),
        Transform(translation=Vector3(x=float("inf"))),
    ],
)
def test_a_transform_that_is_none_is_refused(transform: Transform) -> None:
    with pytest.raises(ConfigError, match=r"^transform: "):
        conversions.to_matrix(transform)


@pytest.mark.parametrize("stamp_ns", [0, 1, 999_999_999, 1_795_242_939_366_065_735])
def test_stamps_there_and_back(stamp_ns: int) -> None:
    assert conversions.to_stamp_ns(conversions.header(stamp_ns, "").stamp) == stamp_ns


def test_a_cloud_holds_points_and_ids() -> None:
    points, ids = np.random.default_rng(0).normal(size=(5, 3)), [3, 1, 4, 1, 2**31 - 1]
    cloud = conversions.to_cloud(conversions.header(0, "map"), points, ids)
    rows = point_cloud2.read_points(cloud)
    np.testing.assert_allclose(np.column_stack([rows[axis] for axis in "xyz"]), points, rtol=1e-6)
    assert rows["id"].tolist() == ids
    assert len(point_cloud2.read_points(conversions.to_cloud(conversions.header(0, "map"), np.empty((0, 3)), []))) == 0


def test_bytes_travel_as_they_are() -> None:
    content = bytes(range(256))
    assert bytes(conversions.to_bytes_message(content).data) == content
