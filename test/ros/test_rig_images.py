"""From the messages of several cameras to one query: where each camera was, and what one of them lacks."""

from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from support.robot import camera_info, raw_image
from tf2_ros import Buffer

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.synchronizer import Moment, Stamped
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.errors import VlocError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix, from_quaternion, invert
from vloc_ros.ros.conversions import to_transform_stamped
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.ros.rig_images import ImageMessage, RigReader
from vloc_ros.tracking.status import CameraReport, RefusedError

START_NS, STEP_NS = 1_700_000_000 * NS_PER_S, 20_000_000
CAMERA = Camera(64, 48, 50.0, 50.0, 31.5, 23.5)
RGB = np.zeros((48, 64, 3), np.uint8)
BASE_FROM = {
    "front": from_quaternion((0.5, -0.5, 0.5, -0.5), (0.2, 0.0, 0.5)),
    "left": from_quaternion((0.7, 0.0, 0.0, -0.7), (0.0, 0.1, 0.5)),
}
RIG = RelocalizerParameters(cameras=("front", "left"), tf_timeout=0.0)


def odom_from_base(stamp_ns: int) -> Matrix:
    seconds = (stamp_ns - START_NS) / NS_PER_S
    return from_quaternion((0, 0, np.sin(seconds), np.cos(seconds)), (2 * seconds, 0.0, 0.0))


@pytest.fixture
def buffer() -> Buffer:
    made = Buffer()
    for name, base_from_camera in BASE_FROM.items():
        made.set_transform_static(to_transform_stamped(base_from_camera, "base_link", f"{name}_optical", 0), "test")
    for step in range(5):
        stamp_ns = START_NS + step * STEP_NS
        made.set_transform(to_transform_stamped(odom_from_base(stamp_ns), "odom", "base_link", stamp_ns), "test")
    return made


def moment(stamps: dict[str, int], **changes: Any) -> Moment[ImageMessage]:
    images = {}
    for name, stamp_ns in stamps.items():
        fields = {"frame_id": f"{name}_optical", **changes.get(name, {})}
        images[name] = Stamped(stamp_ns, raw_image(RGB, stamp_ns, **fields))
    return Moment(images)


def reader_of(buffer: Buffer, cameras: tuple[str, ...] = ("front", "left")) -> RigReader:
    reader = RigReader(buffer)
    for camera in cameras:
        reader.add_info(camera, camera_info(CAMERA, START_NS))
    return reader


def test_views_of_one_stamp_are_where_tf_has_the_cameras(buffer: Buffer) -> None:
    images = reader_of(buffer).read(moment({"front": START_NS, "left": START_NS}), RIG)
    assert (images.frame_id, images.cameras, images.refusals) == ("front_optical", ("front", "left"), {})
    front, left = images.query.views
    assert front.rig_camera.is_rig
    np.testing.assert_allclose(left.rig_from_camera, invert(BASE_FROM["front"]) @ BASE_FROM["left"], atol=1e-9)


def test_odometry_says_how_the_robot_moved_between_two_stamps(buffer: Buffer) -> None:
    later_ns = START_NS + 2 * STEP_NS
    images = reader_of(buffer).read(moment({"front": START_NS, "left": later_ns}), RIG)
    assert images.query.stamp_ns == START_NS
    odom_from_front = odom_from_base(START_NS) @ BASE_FROM["front"]
    odom_from_left = odom_from_base(later_ns) @ BASE_FROM["left"]
    expected = invert(odom_from_front) @ odom_from_left
    np.testing.assert_allclose(images.query.views[1].rig_from_camera, expected, atol=1e-6)
    standing = RelocalizerParameters(cameras=RIG.cameras, tf_mode="map_to_base", tf_timeout=0.0)
    images = reader_of(buffer).read(moment({"front": START_NS, "left": later_ns}), standing)
    expected = invert(BASE_FROM["front"]) @ BASE_FROM["left"]
    np.testing.assert_allclose(images.query.views[1].rig_from_camera, expected, atol=1e-6)


def test_the_rigs_frame_stays_when_its_first_camera_drops_out(buffer: Buffer) -> None:
    reader = reader_of(buffer)
    reader.read(moment({"front": START_NS, "left": START_NS}), RIG)
    images = reader.read(moment({"left": START_NS + STEP_NS}), RIG)
    assert (images.frame_id, images.cameras) == ("front_optical", ("left",))
    expected = invert(BASE_FROM["front"]) @ BASE_FROM["left"]
    np.testing.assert_allclose(images.query.views[0].rig_from_camera, expected, atol=1e-9)
    fresh = reader_of(buffer).read(moment({"left": START_NS}), RIG)
    assert fresh.frame_id == "left_optical", "nobody knows another camera's frame yet"
    named = RelocalizerParameters(cameras=RIG.cameras, camera_frames=("front_optical", "left_optical"), tf_timeout=0.0)
    assert reader_of(buffer).read(moment({"left": START_NS}), named).frame_id == "front_optical"


def test_a_camera_whose_image_cannot_be_used_does_not_stop_the_other(buffer: Buffer) -> None:
    both = {"front": START_NS, "left": START_NS}
    sepia: dict[str, Any] = {"left": {"encoding": "sepia7"}}
    elsewhere: dict[str, Any] = {"left": {"frame_id": "nowhere"}}
    for reader, asked, reason in (
        (reader_of(buffer, ("front",)), moment(both), RejectionReason.NO_CAMERA_INFO),
        (reader_of(buffer), moment(both, **sepia), RejectionReason.BAD_INPUT),
        (reader_of(buffer), moment(both, **elsewhere), RejectionReason.NO_TRANSFORM),
    ):
        images = reader.read(asked, RIG)
        assert images.cameras == ("front",)
        assert images.refusals["left"].reason is reason
        reports = images.reports(Rejection(RejectionReason.NO_POSE, "none"), RIG.cameras)
        assert reports["front"] == CameraReport(0)
        assert reports["left"].inliers is None
        assert reports["left"].problem.startswith(f"{reason.value}: ")


def test_where_no_camera_can_be_used_the_first_ones_reason_is_given(buffer: Buffer) -> None:
    with pytest.raises(RefusedError, match=r"^no_camera_info: front: none has come"):
        RigReader(buffer).read(moment({"front": START_NS, "left": START_NS}), RIG)


def test_reports_count_inliers_by_camera(buffer: Buffer) -> None:
    images = reader_of(buffer).read(moment({"front": START_NS, "left": START_NS}), RIG)
    views = np.array([0, 0, 0, 1, 1], dtype=np.int32)
    found = Correspondences(np.zeros((5, 2)), np.zeros((5, 3)), np.ones(5), np.arange(5, dtype=np.int32), views)
    inliers = np.array([True, True, False, True, False])
    pose = PoseEstimate(np.eye(4), np.eye(6), found, inliers, 0.5)
    expected = {"front": CameraReport(2), "left": CameraReport(1), "rear": CameraReport(None)}
    assert images.reports(pose, ("front", "left", "rear")) == expected
    assert images.reports(pose, ()) == {}


def test_one_camera_needs_no_transforms() -> None:
    reader = RigReader(Buffer())
    reader.add_info("", camera_info(CAMERA, START_NS))
    message = raw_image(RGB, START_NS)
    message.header.stamp = Time(sec=START_NS // NS_PER_S)
    images = reader.read(Moment.of("", START_NS, message), RelocalizerParameters())
    assert len(images.query.views) == 1
    assert images.query.views[0].rig_camera.is_rig
    assert images.frame_id == "camera_optical"


def test_the_second_camera_of_a_stereo_pair_must_have_its_frame_named(buffer: Buffer) -> None:
    second = camera_info(CAMERA, START_NS, p=[50.0, 0, 31.5, -6, 0, 50, 23.5, 0, 0, 0, 1, 0])
    for parameters, words in ((RelocalizerParameters(), "set camera_frame to"), (RIG, "set camera_frames to")):
        reader = RigReader(buffer)
        name = "front" if parameters.cameras else ""
        reader.add_info(name, second)
        message = raw_image(RGB, START_NS, "front_optical")
        with pytest.raises(VlocError, match=words) if name == "" else pytest.raises(RefusedError, match=words):
            reader.read(Moment.of(name, START_NS, message), parameters)


def test_inliers_of_a_wide_camera_are_those_of_all_its_views(buffer: Buffer) -> None:
    reader = reader_of(buffer, ("left",))
    wide = camera_info(Camera(64, 48, 20.0, 20.0, 31.5, 23.5), START_NS, distortion_model="equidistant", d=[0.0] * 4)
    reader.add_info("front", wide)
    images = reader.read(moment({"front": START_NS, "left": START_NS}), RIG)
    assert len(images.query.in_pinhole_views().views) == 3
    views = np.array([0, 1, 1, 2, 2, 2], dtype=np.int32)
    found = Correspondences(np.zeros((6, 2)), np.zeros((6, 3)), np.ones(6), np.arange(6, dtype=np.int32), views)
    pose = PoseEstimate(np.eye(4), np.eye(6), found, np.ones(6, dtype=np.bool_), 0.5)
    assert images.reports(pose, RIG.cameras) == {"front": CameraReport(3), "left": CameraReport(3)}
