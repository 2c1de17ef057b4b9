"""What the relocalizer publishes of a fix: poses, covariances, pictures, status and diagnostics."""

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from sensor_msgs.msg import Image, PointCloud2
from sensor_msgs_py import point_cloud2
from support.graph import LATCHED, MANY
from support.robot import BASE_FROM_CAMERA, CAMERA_FRAME, Answer, Robot, matrix_of
from visualization_msgs.msg import Marker

from vloc_ros.core.types import PoseEstimate
from vloc_ros.datasets import Frame
from vloc_ros.geometry.transforms import Matrix, invert
from vloc_ros.localizer import Localizer
from vloc_ros.ros.conversions import to_stamp_ns


def estimate_of(offline: Localizer, frame: Frame) -> PoseEstimate:
    result = offline.localize(frame.image)
    assert isinstance(result, PoseEstimate)
    return result


def moved_by_rotation(covariance: Matrix, lever: Matrix) -> Matrix:
    """Covariance at the end of a lever, by differences: what small rotations about the map's axes do to it."""
    jacobian = np.eye(6)
    for axis in range(3):
        jacobian[:3, 3 + axis] = np.cross(np.eye(3)[axis], lever)
    moved: Matrix = jacobian @ covariance @ jacobian.T
    return moved


# Name, type, reliable, transient local.
PUBLISHED = [
    ("/relocalizer/pose", "geometry_msgs/msg/PoseWithCovarianceStamped", True, True),
    ("/relocalizer/camera_pose", "geometry_msgs/msg/PoseStamped", True, False),
    ("/relocalizer/status", "diagnostic_msgs/msg/DiagnosticStatus", True, True),
    ("/relocalizer/inliers", "sensor_msgs/msg/PointCloud2", True, False),
    ("/relocalizer/debug_image", "sensor_msgs/msg/Image", True, False),
    ("/relocalizer/frustum", "visualization_msgs/msg/Marker", True, False),
    ("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", True, False),
    ("/initialpose", "geometry_msgs/msg/PoseWithCovarianceStamped", True, False),
]
SUBSCRIBED = [
    ("/image", "sensor_msgs/msg/Image", False, False),
    ("/camera_info", "sensor_msgs/msg/CameraInfo", False, False),
    ("/initialpose", "geometry_msgs/msg/PoseWithCovarianceStamped", True, False),
    ("/tf_static", "tf2_msgs/msg/TFMessage", True, True),
]


@pytest.mark.parametrize("topic", PUBLISHED, ids=[topic for topic, *_ in PUBLISHED])
def test_published_topics(robot: Robot, topic: tuple[str, str, bool, bool]) -> None:
    assert robot.graph.publisher_of(topic[0]) == topic[1:]


@pytest.mark.parametrize("topic", SUBSCRIBED, ids=[topic for topic, *_ in SUBSCRIBED])
def test_subscribed_topics(robot: Robot, topic: tuple[str, str, bool, bool]) -> None:
    assert robot.graph.subscription_of(topic[0]) == topic[1:]


def test_with_a_map_of_its_own_it_does_not_listen_to_the_map_server(robot: Robot) -> None:
    assert not robot.graph.node.count_subscribers("/map/data")


def test_poses_are_those_of_localize_without_ros(robot: Robot, offline: Localizer) -> None:
    robot.configure(tf_mode="none")
    for index, frame in enumerate(robot.frames):
        robot.restart_track()
        answer = robot.localize(index)
        expected = estimate_of(offline, frame)
        camera, base = robot.camera_pose_of(answer), robot.pose_of(answer)
        np.testing.assert_allclose(matrix_of(camera.pose), expected.map_from_camera, rtol=0, atol=1e-9)
        map_from_base = expected.map_from_camera @ invert(BASE_FROM_CAMERA)
        np.testing.assert_allclose(matrix_of(base.pose.pose), map_from_base, rtol=0, atol=1e-9)
        lever = map_from_base[:3, 3] - expected.map_from_camera[:3, 3]
        covariance = np.array(base.pose.covariance).reshape(6, 6)
        expected_covariance = moved_by_rotation(expected.covariance, lever)
        np.testing.assert_allclose(covariance, expected_covariance, rtol=1e-9, atol=1e-12)


def test_poses_are_near_the_truth_and_dated_as_the_image(robot: Robot) -> None:
    answer = robot.localize()
    camera, base = robot.camera_pose_of(answer), robot.pose_of(answer)
    truth = robot.frames[0].map_from_camera
    assert np.linalg.norm(matrix_of(camera.pose)[:3, 3] - truth[:3, 3]) < 0.1
    for header in (camera.header, base.header):
        assert header.frame_id == "map"
        assert to_stamp_ns(header.stamp) == answer.stamp_ns


def test_two_d_mode_puts_the_robot_on_the_floor(robot: Robot) -> None:
    free = matrix_of(robot.pose_of(robot.localize()).pose.pose)
    robot.configure(two_d_mode=True)
    flat = matrix_of(robot.pose_of(robot.localize()).pose.pose)
    assert free[2, 3] != 0
    assert flat[2, 3] == 0
    np.testing.assert_allclose(flat[2, :3], (0, 0, 1), atol=1e-12)
    np.testing.assert_allclose(flat[:2, 3], free[:2, 3], atol=1e-9)


def test_without_a_base_frame_the_camera_is_the_robot(robot: Robot) -> None:
    robot.configure(base_frame="", tf_mode="none")
    answer = robot.localize()
    base, camera = robot.pose_of(answer), robot.camera_pose_of(answer)
    np.testing.assert_allclose(matrix_of(base.pose.pose), matrix_of(camera.pose), atol=1e-12)


def test_status_of_a_fix(robot: Robot, offline: Localizer) -> None:
    answer = robot.localize()
    expected = estimate_of(offline, robot.frames[0])
    assert answer.status.level == DiagnosticStatus.OK
    assert answer.status.name == "/relocalizer"
    assert answer["state"] == "localized"
    assert "\n" not in answer.status.message
    assert answer["map_id"] == offline.map_id
    assert answer["map_frame"] == "map"
    assert int(answer["inliers"]) == expected.inlier_count
    assert float(answer["inlier_ratio"]) == pytest.approx(expected.inlier_ratio, abs=1e-3)
    assert float(answer["reprojection_rmse_px"]) == pytest.approx(expected.reprojection_rmse_px, abs=1e-3)
    assert 0 < float(answer["localize_ms"]) <= float(answer["latency_ms"])
    assert int(answer["dropped"]) >= 0
    assert answer["rejection"] == ""


def test_a_late_listener_gets_the_status_at_once(robot: Robot) -> None:
    answer = robot.localize()
    with robot.graph.listening(DiagnosticStatus, "/relocalizer/status", LATCHED) as statuses:
        robot.graph.wait_for(lambda: statuses)
    stamps = {pair.key: pair.value for pair in statuses[0].values}["stamp"]
    assert stamps == answer["stamp"]


def test_a_late_listener_gets_the_pose_at_once(robot: Robot) -> None:
    answer = robot.localize()
    with robot.graph.listening(PoseWithCovarianceStamped, "/relocalizer/pose", LATCHED) as poses:
        robot.graph.wait_for(lambda: poses)
    assert poses == [robot.pose_of(answer)]


def test_diagnostics_once_a_second(robot: Robot) -> None:
    robot.localize()
    with robot.graph.listening(DiagnosticArray, "/diagnostics", MANY) as arrays:
        robot.graph.wait_for(lambda: len(arrays) > 1)
    apart_ns = to_stamp_ns(arrays[1].header.stamp) - to_stamp_ns(arrays[0].header.stamp)
    assert apart_ns > 0
    (status,) = arrays[-1].status
    values = {pair.key: pair.value for pair in status.values}
    assert status.name == "/relocalizer"
    assert values["state"] == "localized"
    assert values["backend"].startswith("onnxruntime on the ")
    assert int(values["images"]) == int(values["fixes"]) + int(values["rejections"])
    assert float(values["latency_ms_p50"]) <= float(values["latency_ms_p95"])
    assert float(values["localize_ms_p50"]) <= float(values["localize_ms_p95"])
    assert float(values["rate_hz"]) >= 0
    assert int(values["dropped"]) >= 0


def test_inliers_are_landmarks_of_the_map(robot: Robot, offline: Localizer) -> None:
    with robot.graph.listening(PointCloud2, "/relocalizer/inliers") as clouds:
        answer = robot.localize_until(lambda: clouds)
    rows = point_cloud2.read_points(clouds[-1])
    landmarks = dict(zip(offline.landmark_map.ids.tolist(), offline.landmark_map.positions, strict=True))
    assert clouds[-1].header.frame_id == "map"
    assert len(rows) == int(answer["inliers"])
    for row in rows:
        np.testing.assert_allclose([row["x"], row["y"], row["z"]], landmarks[int(row["id"])], atol=1e-5)


def test_pictures_for_whoever_looks(robot: Robot) -> None:
    frame = robot.frames[0]
    with (
        robot.graph.listening(Image, "/relocalizer/debug_image") as pictures,
        robot.graph.listening(Marker, "/relocalizer/frustum") as frustums,
    ):
        answer = robot.localize_until(lambda: pictures and frustums)
    picture, frustum = pictures[-1], frustums[-1]
    assert picture.encoding == "rgb8"
    assert picture.header.frame_id == CAMERA_FRAME
    assert to_stamp_ns(picture.header.stamp) == answer.stamp_ns
    shown = np.frombuffer(picture.data, np.uint8)
    assert shown.std() > 10
    assert frustum.header.frame_id == "map"
    tip = frustum.points[0]
    assert np.linalg.norm(np.array([tip.x, tip.y, tip.z]) - frame.map_from_camera[:3, 3]) < 0.1


def test_initialpose_for_the_first_fix_only_and_only_on_request(robot: Robot) -> None:
    with robot.graph.listening(PoseWithCovarianceStamped, "/initialpose") as initial_poses:
        robot.localize()
        robot.configure(publish_initialpose=True)
        robot.localize()
        robot.graph.spin(0.3)
        assert not initial_poses
        first: list[Answer] = []
        while not initial_poses:  # it may have to find this listener first
            robot.restart_track()
            first.append(robot.localize())
            robot.graph.spin(0.1)
        robot.localize()
        robot.graph.spin(0.3)
    assert [to_stamp_ns(pose.header.stamp) for pose in initial_poses] == [first[-1].stamp_ns]
    assert initial_poses[0].pose == robot.pose_of(first[-1]).pose


def test_what_receives_tf_is_hidden_from_tools(robot: Robot) -> None:
    """Otherwise `ros2 param list` waits for parameter services that it does not have."""
    names = robot.graph.node.get_node_names()
    assert [name for name in names if name.endswith("_tf")] == ["_relocalizer_tf"]
