"""Messages to types and back: round trips, what a camera_info means, and what is refused."""

from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import Quaternion, Transform, Vector3
from sensor_msgs.msg import RegionOfInterest
from sensor_msgs_py import point_cloud2
from support.robot import camera_info

from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.camera_info import InfoOptions, read_camera_info
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.images import to_rgb
from vloc_ros.ros import conversions

HEIGHT, WIDTH = 6, 8
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
CAMERA = Camera(640, 480, 500.0, 510.0, 320.5, 239.5, (-0.1, 0.02, 0.001, -0.001, 0.0))
POSE = from_quaternion((0.1, -0.2, 0.3, 0.9), (1.0, -2.0, 3.0))


def test_an_image_there_and_back() -> None:
    message = conversions.to_image(conversions.header(5, "camera"), RGB)
    assert message.header.frame_id == "camera"
    np.testing.assert_array_equal(to_rgb(message), RGB)


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
