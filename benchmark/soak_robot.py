"""The robot of `soak.py`: its sensors with their faults, its nodes, and what is heard of them."""

import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from soak_states import StateLog
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from vloc_ros.datasets import Dataset
from vloc_ros.datasets.drive import BASE_FRAME, CAMERA_FRAME, ODOM_FRAME, Drive
from vloc_ros.demo.listener import LATCHED
from vloc_ros.demo.player import to_camera_info
from vloc_ros.demo.processes import Program
from vloc_ros.evaluation.corruptions import covered
from vloc_ros.ros.conversions import header, to_image, to_transform_stamped
from vloc_ros.ros.diagnostics import from_message
from vloc_ros.ros.programs import as_arguments

DARK_IMAGES = 8  # different ones


class Sensors:
    """Publishes a step of a drive: TF, which may come late, and an image, which may be covered."""

    def __init__(self, node: Node, frames: Dataset, drive: Drive) -> None:
        """`frames`: those that the drive's steps name. All images are made here."""
        self._node, self._drive = node, drive
        self._images = node.create_publisher(Image, "image", qos_profile_sensor_data)
        self._infos = node.create_publisher(CameraInfo, "camera_info", qos_profile_sensor_data)
        self._tf, static_tf = TransformBroadcaster(node), StaticTransformBroadcaster(node)
        self._static_tf = static_tf  # which ends with its last reference
        static_tf.sendTransform(to_transform_stamped(drive.base_from_camera, BASE_FRAME, CAMERA_FRAME, self.now_ns()))
        self._waiting: deque[tuple[float, TransformStamped]] = deque()
        made = [frames.frame(index).image for index in range(len(frames))]
        self._info = to_camera_info(made[0].camera)
        self._seen = [to_image(header(0, ""), image.rgb) for image in made]
        rng = np.random.default_rng(0)
        self._dark = [to_image(header(0, ""), covered(made[0].rgb, rng)) for _ in range(DARK_IMAGES)]

    def now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def publish(self, step: int, late_s: float, is_covered: bool) -> None:
        """One step. TF is held back for `late_s`, and so is what comes behind it: the order stays."""
        stamp_ns, now_s = self.now_ns(), time.monotonic()
        transform = to_transform_stamped(self._drive.odom_from_base[step], ODOM_FRAME, BASE_FRAME, stamp_ns)
        self._waiting.append((now_s + late_s, transform))
        while self._waiting and self._waiting[0][0] <= now_s:
            self._tf.sendTransform(self._waiting.popleft()[1])
        image = self._dark[step % DARK_IMAGES] if is_covered else self._seen[self._drive.frames[step]]
        self._info.header = image.header = header(stamp_ns, CAMERA_FRAME)
        self._infos.publish(self._info)
        self._images.publish(image)


class Nodes:
    """A map server and a relocalizer in a namespace; each life of a node has its own log."""

    def __init__(self, namespace: str, map_dir: Path, out: Path, **relocalizer: object) -> None:
        """`relocalizer`: its parameters."""
        self.namespace, self._out = namespace, out
        remaps = ["-r", f"__ns:={namespace or '/'}", "-r", "image:=/image", "-r", "camera_info:=/camera_info"]
        self._arguments = {
            "map_server": [*remaps, *as_arguments({"map": map_dir})],
            "relocalizer": [*remaps, *as_arguments({"threads": 1, **relocalizer})],
        }
        self._lives = dict.fromkeys(self._arguments, 0)
        self.programs: dict[str, Program] = {}
        for name in self._arguments:
            self.start(name)

    def start(self, name: str) -> None:
        self._lives[name] += 1
        log = self._out / f"{self.namespace.strip('/') or 'kept'}_{name}_{self._lives[name]}.log"
        self.programs[name] = Program(name, self._arguments[name], log)

    def kill(self, name: str) -> None:
        """End a node as no handler can prevent, unless it is dead already."""
        if name in self.programs:
            self.programs.pop(name).kill()

    def stop(self) -> None:
        for program in self.programs.values():
            program.stop()

    def ended(self) -> list[str]:
        """The nodes that ended although nobody killed them; they are started again."""
        names = [name for name, program in self.programs.items() if not program.is_running]
        for name in names:
            self.start(name)
        return [f"{self.namespace}/{name}" for name in names]


class Ears:
    """What a relocalizer says, into its log of states; callbacks run in another thread."""

    def __init__(self, node: Node, namespace: str) -> None:
        self._node, self.states = node, StateLog()
        self.fixes, self.images, self.faults = 0, 0, 0
        self._is_deaf = False
        topic = f"{namespace}/relocalizer"
        node.create_subscription(DiagnosticStatus, f"{topic}/status", self._on_status, LATCHED)
        node.create_subscription(PoseWithCovarianceStamped, f"{topic}/pose", self._on_pose, 100)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)
        self._name = topic

    def lost_node(self) -> None:
        """What still comes of a node that was killed is not listened to."""
        self._is_deaf = True

    def new_node(self) -> None:
        self.states.restarted()
        self._is_deaf = False

    def _now_s(self) -> float:
        return float(self._node.get_clock().now().nanoseconds) * 1e-9

    def _on_status(self, message: DiagnosticStatus) -> None:
        if not self._is_deaf:
            self.states.heard(from_message(message), self._now_s())

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        self.fixes += 1
        if not self._is_deaf:
            self.states.fixed(self._now_s())

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        """Faults are exceptions that the node survived."""
        self.faults += sum(status.name == f"{self._name}: faults" for status in message.status)


def troubles(logs: Sequence[Path]) -> tuple[int, list[str]]:
    """How many tracebacks and fatal lines there are, and the different lines of errors, without their times."""
    lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
    bad = sum("Traceback (most recent call last)" in line or "[FATAL]" in line for line in lines)
    return bad, sorted({line.split("]: ", 1)[-1] for line in lines if "[ERROR]" in line})
