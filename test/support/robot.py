"""For tests: a robot with a camera and odometry on a ROS graph, and what the relocalizer answers to its images."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped, TransformStamped
from numpy.typing import NDArray
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import Empty
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from support.graph import LATCHED, Graph
from vloc_ros.datasets import Frame
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.stamps import parse_stamp
from vloc_ros.geometry.transforms import Matrix, from_quaternion, invert
from vloc_ros.ros.conversions import header, to_matrix, to_transform_stamped

# Where the odometry's frame is in the map, and the camera on the robot: anything but the identity.
MAP_FROM_ODOM = from_quaternion((0, 0, 0.6, 0.8), (1.0, 2.0, 0.0))
BASE_FROM_CAMERA = np.array([[0, 0, 1, 0.3], [-1, 0, 0, -0.1], [0, -1, 0, 0.75], [0, 0, 0, 1.0]])
CAMERA_FRAME, BASE_FRAME, ODOM_FRAME = "camera_optical", "base_link", "odom"
AGAIN_AFTER_S = 3.0  # images travel best effort

Rgb = NDArray[np.uint8]


def camera_info(camera: Camera, stamp_ns: int = 0, frame_id: str = CAMERA_FRAME, **changes: Any) -> CameraInfo:
    c = camera
    fields: dict[str, Any] = {
        "width": c.width,
        "height": c.height,
        "distortion_model": "plumb_bob",
        "d": list(c.distortion) or [0.0] * 5,
        "k": c.matrix.ravel().tolist(),
        "p": np.column_stack([c.matrix, np.zeros(3)]).ravel().tolist(),
    }
    return CameraInfo(header=header(stamp_ns, frame_id), **{**fields, **changes})


def raw_image(rgb: Rgb, stamp_ns: int = 0, frame_id: str = CAMERA_FRAME, **changes: Any) -> Image:
    height, width = rgb.shape[:2]
    fields: dict[str, Any] = {
        "width": width,
        "height": height,
        "encoding": "rgb8",
        "step": rgb.strides[0],
        "data": rgb.tobytes(),
    }
    return Image(header=header(stamp_ns, frame_id), **{**fields, **changes})


def compressed_image(rgb: Rgb, stamp_ns: int, kind: str = "jpeg") -> CompressedImage:
    data = cv2.imencode(f".{kind}", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
    return CompressedImage(header=header(stamp_ns, CAMERA_FRAME), format=kind, data=data)


def matrix_of(pose: Any) -> Matrix:
    """4x4 of a pose message."""
    p, q = pose.position, pose.orientation
    return from_quaternion((q.x, q.y, q.z, q.w), (p.x, p.y, p.z))


def matrix_of_transform(message: TransformStamped) -> Matrix:
    return to_matrix(message.transform)


@dataclass(frozen=True, eq=False)
class Answer:
    """What the relocalizer said of the image of a stamp."""

    stamp_ns: int
    status: DiagnosticStatus

    def __getitem__(self, key: str) -> str:
        values: dict[str, str] = {pair.key: pair.value for pair in self.status.values}
        return values[key]

    @property
    def is_fix(self) -> bool:
        return not self["rejection"]


class Robot:
    """Publishes images of `frames` with what belongs to them, and collects answers."""

    def __init__(self, graph: Graph, frames: list[Frame], namespace: str = "", transport: type[Any] = Image) -> None:
        self.graph, self.frames, self.relocalizer = graph, frames, f"{namespace}/relocalizer"
        self.namespace = namespace
        self._before: dict[str, object] = {}
        node, publisher = graph.node, partial(graph.node.create_publisher, qos_profile=qos_profile_sensor_data)
        self.images = publisher(transport, f"{namespace}/image{'' if transport is Image else '/compressed'}")
        self.infos = publisher(CameraInfo, f"{namespace}/camera_info")
        self._tf, self._tf_static = TransformBroadcaster(node), StaticTransformBroadcaster(node)
        self.statuses = graph.listen(DiagnosticStatus, f"{self.relocalizer}/status", LATCHED)
        self.poses = graph.listen(PoseWithCovarianceStamped, f"{self.relocalizer}/pose")
        self.camera_poses = graph.listen(PoseStamped, f"{self.relocalizer}/camera_pose")

    def mount_camera(self) -> None:
        """base <- camera, once for all."""
        self._tf_static.sendTransform(to_transform_stamped(BASE_FROM_CAMERA, BASE_FRAME, CAMERA_FRAME, 0))

    def wait_for_relocalizer(self) -> None:
        """Until it is active, has a map, hears this robot, and is heard by it."""
        self.graph.wait_for(lambda: self.statuses and self.status()["state"] != "uninitialized", "a map")
        self.wait_to_be_heard()
        self.localize_until(lambda: self.poses and self.camera_poses)
        self.restart_track()

    def wait_to_be_heard(self) -> None:
        publishers = (self.images, self.infos)
        self.graph.wait_for(lambda: all(p.get_subscription_count() for p in publishers), "subscriptions")

    def configure(self, **parameters: object) -> None:
        """Set parameters of the relocalizer, until `restore`."""
        for name, value in parameters.items():
            self._before.setdefault(name, self.graph.parameter(self.relocalizer, name))
            result = self.graph.set_parameter(self.relocalizer, name, value)
            assert result.successful, result.reason

    def restore(self) -> None:
        """The parameters as they were, and no track."""
        for name, value in self._before.items():
            assert self.graph.set_parameter(self.relocalizer, name, value).successful
        self._before.clear()
        self.restart_track()

    def restart_track(self) -> None:
        self.graph.call(Empty, f"{self.relocalizer}/reinitialize_global_localization")

    def now_ns(self) -> int:
        return int(self.graph.node.get_clock().now().nanoseconds)

    def send_odometry(
        self, frame: Frame, stamp_ns: int, odom_frame: str = ODOM_FRAME, base_frame: str = BASE_FRAME
    ) -> None:
        """odom <- base, from the truth."""
        odom_from_base = invert(MAP_FROM_ODOM) @ frame.map_from_camera @ invert(BASE_FROM_CAMERA)
        self.send_tf(odom_from_base, odom_frame, base_frame, stamp_ns)

    def send_tf(self, parent_from_child: Matrix, parent: str, child: str, stamp_ns: int) -> None:
        self._tf.sendTransform(to_transform_stamped(parent_from_child, parent, child, stamp_ns))

    def send(self, frame: Frame, stamp_ns: int) -> None:
        self.send_odometry(frame, stamp_ns)
        self.send_image(frame, stamp_ns)

    def send_image(self, frame: Frame, stamp_ns: int) -> None:
        """With its camera_info, but no TF."""
        self.infos.publish(camera_info(frame.image.camera, stamp_ns))
        self.images.publish(raw_image(frame.image.rgb, stamp_ns))

    def localize(self, index: int = 0) -> Answer:
        """Send a frame with all that belongs to it."""
        return self.ask(partial(self.send, self.frames[index]))

    def localize_until(self, condition: Callable[[], object], index: int = 0) -> Answer:
        """Again and again: whoever has just subscribed may not be known to the relocalizer yet."""
        while True:
            answer = self.localize(index)
            self.graph.spin(0.05)
            if condition():
                return answer

    def ask(self, send: Callable[[int], None], clock: Callable[[], int] | None = None) -> Answer:
        """`send` with the stamp of now, again with another one if that gets lost, and the answer to it."""
        sent: list[int] = []
        last_s = -np.inf

        def is_answered() -> bool:
            nonlocal last_s
            if time.monotonic() - last_s > AGAIN_AFTER_S:
                sent.append((clock or self.now_ns)())
                send(sent[-1])
                last_s = time.monotonic()
            return self.answer_to(sent) is not None

        self.graph.wait_for(is_answered, f"an answer to {send}")
        answer = self.answer_to(sent)
        assert answer is not None
        return answer

    def answer_to(self, stamps: list[int]) -> Answer | None:
        for status in reversed(self.statuses):
            answer = Answer(_stamp_ns(status), status)
            if answer.stamp_ns in stamps and answer["rejection"] != "no image yet":
                return answer
        return None

    def status(self) -> Answer:
        """The newest one."""
        return Answer(_stamp_ns(self.statuses[-1]), self.statuses[-1])

    def pose_of(self, answer: Answer) -> PoseWithCovarianceStamped:
        return self._of(self.poses, answer)

    def camera_pose_of(self, answer: Answer) -> PoseStamped:
        return self._of(self.camera_poses, answer)

    def _of(self, messages: list[Any], answer: Answer) -> Any:
        def found() -> list[Any]:
            return [m for m in messages if m.header.stamp == header(answer.stamp_ns, "").stamp]

        self.graph.wait_for(found, f"a message of {answer.stamp_ns}")
        return found()[0]


def _stamp_ns(status: DiagnosticStatus) -> int:
    return parse_stamp(next(pair.value for pair in status.values if pair.key == "stamp"))
