"""A robot with two cameras on a ROS graph: one pose of both, and what follows when one of them fails."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from support.graph import LATCHED, Graph
from support.robot import AGAIN_AFTER_S, camera_info, matrix_of, raw_image
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from vloc_ros.datasets.drive import LOOKING_AHEAD
from vloc_ros.datasets.synthetic_room import open_synthetic_room, synthetic_room
from vloc_ros.geometry.transforms import Matrix, from_quaternion, invert
from vloc_ros.ros.conversions import header, to_transform_stamped
from vloc_ros.ros.diagnostics import from_message
from vloc_ros.synthetic.living_room import LIVING_ROOM
from vloc_ros.tracking.status import Status

STEP_M, STEP_NS = np.array([0.3, 0.1, 0.0]), 10_000_000  # of the base between the images of the two cameras
LEFT_FROM_FRONT_DEG = 90.0


def turned(degrees: float) -> Matrix:
    half = np.radians(degrees) / 2
    return from_quaternion((0, 0, np.sin(half), np.cos(half)), (0, 0, 0))


BASE_FROM = {"front": LOOKING_AHEAD, "left": turned(LEFT_FROM_FRONT_DEG) @ LOOKING_AHEAD}


class TwoCameras:
    """Renders what a robot at a place would see, sends it, and hears the answer."""

    def __init__(self, graph: Graph) -> None:
        self.graph, node = graph, graph.node
        drive = open_synthetic_room(None, "drive")
        self.camera = drive.intrinsics.resized(320, 240)
        self.map_from_base = np.asarray(drive.poses[0] @ invert(LOOKING_AHEAD))
        self.room = synthetic_room(LIVING_ROOM)
        qos = qos_profile_sensor_data
        self.images = {name: node.create_publisher(Image, f"/{name}/image", qos) for name in BASE_FROM}
        self.infos = {name: node.create_publisher(CameraInfo, f"/{name}/camera_info", qos) for name in BASE_FROM}
        self._tf, static = TransformBroadcaster(node), StaticTransformBroadcaster(node)
        mountings = [to_transform_stamped(pose, "base_link", f"{name}_optical", 0) for name, pose in BASE_FROM.items()]
        static.sendTransform(mountings)
        self.statuses = graph.listen(DiagnosticStatus, "/relocalizer/status", LATCHED)
        self.poses = graph.listen(PoseWithCovarianceStamped, "/relocalizer/pose")
        self.camera_poses = graph.listen(PoseStamped, "/relocalizer/camera_pose")
        self.diagnostics = graph.listen(DiagnosticArray, "/diagnostics")
        self.frames = {name: f"{name}_optical" for name in BASE_FROM}
        self._rendered: dict[tuple[str, bytes], np.ndarray] = {}

    def view(self, name: str, map_from_base: Matrix) -> np.ndarray:
        key = name, map_from_base.tobytes()
        if key not in self._rendered:
            self._rendered[key] = self.room.render(self.camera, map_from_base @ BASE_FROM[name])[0]
        return self._rendered[key]

    def send(self, names: tuple[str, ...], apart: bool, black: tuple[str, ...] = ()) -> int:
        """Images of one moment, or the second one after a step of the robot; returns the stamp of the first."""
        now_ns = int(self.graph.node.get_clock().now().nanoseconds) - STEP_NS
        for k, name in enumerate(names):
            stamp_ns, base = now_ns + k * STEP_NS * apart, self.map_from_base.copy()
            base[:3, 3] += k * apart * STEP_M
            self._tf.sendTransform(to_transform_stamped(base, "odom", "base_link", stamp_ns))
            frame = self.frames[name]
            self.infos[name].publish(camera_info(self.camera, stamp_ns, frame))
            rgb = self.view(name, base)
            self.images[name].publish(raw_image(np.zeros_like(rgb) if name in black else rgb, stamp_ns, frame))
        return now_ns

    def ask(self, *names: str, apart: bool = False, black: tuple[str, ...] = ()) -> Status:
        """The status of such a moment; sent again if a message was lost."""
        stamps: list[int] = []
        answers: list[Status] = []
        last_s = -np.inf

        def is_answered() -> bool:
            nonlocal last_s
            if time.monotonic() - last_s > AGAIN_AFTER_S:
                stamps.append(self.send(names, apart, black))
                last_s = time.monotonic()
            for status in map(from_message, self.statuses):
                if status.image and status.image.stamp_ns in stamps:
                    used = [camera for camera in status.image.cameras.values() if camera.inliers is not None]
                    if len(used) == len(names):  # else one of the images was lost
                        answers.append(status)
            return bool(answers)

        self.graph.wait_for(is_answered, f"an answer to {names}")
        return answers[-1]

    def error_m(self, status: Status) -> float:
        """Of the base, at the stamp of the first image."""
        assert status.image is not None
        assert status.image.refusal is None, str(status.image.refusal)
        stamp = header(status.image.stamp_ns, "").stamp
        self.graph.wait_for(lambda: any(m.header.stamp == stamp for m in self.poses), "its pose")
        pose = next(m for m in self.poses if m.header.stamp == stamp)
        return float(np.linalg.norm(matrix_of(pose.pose.pose)[:3, 3] - self.map_from_base[:3, 3]))

    def said_of(self, camera: str) -> dict[str, str]:
        """The newest diagnostics of a camera."""
        name = f"/relocalizer: camera {camera}"
        self.diagnostics.clear()
        self.graph.wait_for(lambda: self.diagnostics, "diagnostics")
        status = next(each for each in self.diagnostics[-1].status if each.name == name)
        return {pair.key: pair.value for pair in status.values}


@pytest.fixture(scope="module")
def rig(make_graph: Callable[[], Graph], shipped_map: Path) -> Iterator[TwoCameras]:
    graph = make_graph()
    graph.start(
        "relocalizer", map=shipped_map, threads=1, tf_timeout=5.0, lost_after=1000.0, cameras=["front", "left"],
        max_jump_m=100.0, max_jump_deg=180.0, camera_wait=0.2,
    )  # fmt: skip
    made = TwoCameras(graph)
    graph.wait_for(lambda: made.statuses and from_message(made.statuses[-1]).state.value != "uninitialized", "a map")
    publishers = (*made.images.values(), *made.infos.values())
    graph.wait_for(lambda: all(p.get_subscription_count() for p in publishers), "subscriptions")
    yield made
    graph.close()


def test_images_of_one_moment_are_one_pose(rig: TwoCameras) -> None:
    status = rig.ask("front", "left")
    assert status.image is not None
    inliers = {name: camera.inliers or 0 for name, camera in status.image.cameras.items()}
    assert list(inliers) == ["front", "left"]
    assert min(inliers.values()) >= 10
    assert rig.error_m(status) < 0.05
    assert f"(front {inliers['front']}, left {inliers['left']})" in rig.statuses[-1].message


def test_between_two_stamps_odometry_says_how_the_robot_moved(rig: TwoCameras) -> None:
    status = rig.ask("front", "left", apart=True)
    assert status.image is not None
    assert all(camera.inliers for camera in status.image.cameras.values())
    assert rig.error_m(status) < 0.05


def test_a_camera_that_drops_out_does_not_stop_the_other(rig: TwoCameras) -> None:
    for silent, other in (("left", "front"), ("front", "left")):
        status = rig.ask(other)
        assert status.image is not None
        assert status.image.cameras[silent].inliers is None
        assert rig.error_m(status) < 0.15
    assert float(rig.said_of("front")["rate_hz"]) > 0
    rig.graph.wait_for(lambda: rig.said_of("left")["problem"].startswith("no image for "))
    assert int(rig.said_of("front")["images"]) >= 3


def test_a_covered_camera_does_not_stop_the_other(rig: TwoCameras) -> None:
    status = rig.ask("front", "left", black=("left",))
    assert status.image is not None
    assert (status.image.cameras["left"].inliers or 0) < 5
    assert rig.error_m(status) < 0.15


def test_a_camera_without_a_transform_is_named(rig: TwoCameras) -> None:
    """An image from a frame that TF does not know."""
    assert rig.graph.set_parameter("/relocalizer", "tf_timeout", 0.1).successful
    rig.frames["left"] = "nowhere"

    def problem() -> str:
        rig.send(("front", "left"), apart=False)
        rig.graph.spin(0.3)
        image = from_message(rig.statuses[-1]).image
        return image.cameras["left"].problem if image and image.cameras else ""

    rig.graph.wait_for(lambda: problem().startswith("no_transform: front_optical <- nowhere"), "the problem")
    image = from_message(rig.statuses[-1]).image
    assert image is not None
    assert image.refusal is None, "the other camera goes on"
    assert rig.said_of("left")["problem"].startswith("no_transform: ")
