"""Mutants of messages and parameters for a relocalizer that runs."""

import array
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from mutants import ODD_NUMBERS, Rng, damaged, odd_fields, one_of, seeded
from mutation_maps import SEED, Maps, small_frame
from mutation_outcome import MAX_PEAK_MB, TIMEOUT_S, Outcome, whole_lines
from mutation_subjects import Images
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest
from std_msgs.msg import UInt8MultiArray
from tf2_msgs.msg import TFMessage

from vloc_ros.demo.player import to_camera_info
from vloc_ros.demo.processes import Program, isolate
from vloc_ros.geometry.stamps import parse_stamp
from vloc_ros.ros.conversions import header, to_bytes_message, to_image, to_transform_stamped
from vloc_ros.ros.node import LATCHED
from vloc_ros.ros.programs import as_arguments
from vloc_ros.shipped import shipped

LOG_LINES = ("[", "Possible reasons are listed at")  # the second is the second half of tf2's own lines
ASK_EVERY = 10  # mutants; then a right image must be answered
RELOCALIZER = "relocalizer"
KINDS = ("image",) * 8 + ("camera_info",) * 6 + ("transform",) * 3 + ("map", "hint", "parameter")
NUMBERS = tuple(float(value) for value in ODD_NUMBERS)
FRAMES = ("", "camera", "odom", "base_link", "map", "/camera", "a b", "x" * 300, "\x1b[2J", "odom\n[INFO] fine", "käse")
INFO_FIELDS: Mapping[str, tuple[Any, ...]] = {
    "width": Images.OTHERS["width"],
    "height": Images.OTHERS["height"],
    "distortion_model": ("", "plumb_bob", "rational_polynomial", "equidistant", "PLUMB_BOB", "\x1b[31m", "x" * 300),
    "d": tuple([value] * count for value in (0.0, 0.1, -5.0, *NUMBERS) for count in (0, 1, 4, 5, 8, 12, 14, 100)),
    "k": (*([value] * 9 for value in NUMBERS), [1.0, 9.0, 0.5, 0.0, 1.0, 0.5, 0.0, 0.0, 1.0]),
    "p": tuple([value] * 12 for value in NUMBERS),
    "binning_x": (0, 1, 2, 3, 2**32 - 1),
    "binning_y": (0, 1, 2, 3, 2**32 - 1),
    "roi": tuple(
        RegionOfInterest(x_offset=x, y_offset=y, width=w, height=h)
        for x, y, w, h in (
            (0, 0, 320, 240),
            (10, 10, 100, 100),
            (2**32 - 1, 0, 1, 1),
            (0, 0, 0, 1),
            (300, 200, 320, 240),
        )
    ),
}
PARAMETERS: Mapping[str, tuple[Any, ...]] = {
    "map": ("/" + "x" * 300, "package://none/x", "\x1b[2J", "/dev/null", "/proc/self/mem", ""),
    "max_jump_m": (*NUMBERS, "1", True),
    "min_inliers": (-1, 2**40, 0, 1.5),
    "base_frame": FRAMES,
    "tf_mode": ("map_to_odom", "MAP_TO_ODOM", ""),
    "tf_publish_rate": NUMBERS,
}


class Sender(Node):
    """Sends mutants, and right images in between to see whether the relocalizer still answers."""

    def __init__(self) -> None:
        super().__init__("mutants")
        self._frame, self._maps = small_frame(), Maps(Path(tempfile.gettempdir()))
        sensor = qos_profile_sensor_data
        self._publishers: dict[str, Any] = {
            "image": self.create_publisher(Image, "image", sensor),
            "camera_info": self.create_publisher(CameraInfo, "camera_info", sensor),
            "transform": self.create_publisher(TFMessage, "/tf", QoSProfile(depth=100)),
            "map": self.create_publisher(UInt8MultiArray, "map/data", LATCHED),
            "hint": self.create_publisher(PoseWithCovarianceStamped, "initialpose", 10),
        }
        self._parameters = self.create_client(SetParameters, f"{RELOCALIZER}/set_parameters")
        self._answered: set[int] = set()
        self.create_subscription(DiagnosticStatus, f"{RELOCALIZER}/status", self._on_status, LATCHED)

    def send(self, index: int) -> None:
        """Send mutant number `index`; one that its own field types do not allow is drawn again."""
        rng = seeded(SEED, "messages", index)
        kind = one_of(rng, KINDS)
        for _ in range(20):
            with suppress(AssertionError, OverflowError, UnicodeError, TypeError):
                if kind == "parameter":
                    name = one_of(rng, sorted(PARAMETERS))
                    value = Parameter(name, value=one_of(rng, PARAMETERS[name])).to_parameter_msg()
                    self._parameters.call_async(SetParameters.Request(parameters=[value]))
                else:
                    self._publishers[kind].publish(self._mutant(rng, kind))
                return
        raise AssertionError(f"mutant {index} of {kind} cannot be sent")

    def is_answered(self, seconds: float) -> bool:
        """Whether the relocalizer says within this time what became of a right image. Images may get lost."""
        deadline_s, again_s, sent = time.monotonic() + seconds, 0.0, set()
        while time.monotonic() < deadline_s:
            if time.monotonic() > again_s:
                again_s = time.monotonic() + 1.0
                sent.add(self._send_right_image())
            rclpy.spin_once(self, timeout_sec=0.02)
            if sent & self._answered:
                return True
        return False

    def _mutant(self, rng: Rng, kind: str) -> Any:
        stamp = header(self._stamp(rng), one_of(rng, FRAMES) if rng.random() < 0.3 else "camera")
        if kind == "image":
            message = to_image(stamp, self._frame.rgb)
            fields = odd_fields(rng, message, Images.OTHERS)
            if rng.random() < 0.2:
                fields["data"] = array.array("B", damaged(rng, bytes(message.data)))
            return _with(message, fields)
        if kind == "camera_info":
            message = to_camera_info(self._frame.camera)
            message.header = stamp
            return _with(message, odd_fields(rng, message, INFO_FIELDS))
        if kind == "map":
            return to_bytes_message(self._maps.packed_mutant(rng))
        transform = to_transform_stamped(np.eye(4), one_of(rng, FRAMES), one_of(rng, FRAMES), self._stamp(rng))
        for part in (transform.transform.translation, transform.transform.rotation):
            for axis in part.get_fields_and_field_types():
                if rng.random() < 0.3:
                    setattr(part, axis, one_of(rng, NUMBERS))
        if kind == "transform":
            return TFMessage(transforms=[transform] * int(one_of(rng, (0, 1, 1, 50))))
        return self._hint(rng, transform)

    def _hint(self, rng: Rng, transform: TransformStamped) -> PoseWithCovarianceStamped:
        message = PoseWithCovarianceStamped(header=transform.header)
        for axis in "xyz":
            setattr(message.pose.pose.position, axis, getattr(transform.transform.translation, axis))
        message.pose.pose.orientation = transform.transform.rotation
        message.pose.covariance = [one_of(rng, NUMBERS)] * 36
        return message

    def _stamp(self, rng: Rng) -> int:
        now_ns = int(self.get_clock().now().nanoseconds)
        odd = (0, -1, -(10**9), 2**31 * 10**9 - 1, now_ns - 5 * 10**9, now_ns + 10**9, now_ns + 10**12)
        return one_of(rng, odd) if rng.random() < 0.3 else now_ns

    def _send_right_image(self) -> int:
        stamp_ns = int(self.get_clock().now().nanoseconds)
        info = to_camera_info(self._frame.camera)
        info.header = header(stamp_ns, "camera")
        self._publishers["camera_info"].publish(info)
        self._publishers["image"].publish(to_image(info.header, self._frame.rgb))
        return stamp_ns

    def _on_status(self, message: DiagnosticStatus) -> None:
        stamp = next(pair.value for pair in message.values if pair.key == "stamp")
        with suppress(ValueError):
            self._answered.add(parse_stamp(stamp))


def run_messages(count: int) -> Iterator[Outcome]:
    """Sends mutants 0 to count - 1; a defect is found with the next right image, at most ASK_EVERY mutants later."""
    isolate()
    with ExitStack() as scope:
        folder = Path(scope.enter_context(tempfile.TemporaryDirectory()))
        rclpy.init()
        scope.callback(rclpy.try_shutdown)
        sender = Sender()
        index = 0
        while index < count:
            with _Relocalizer(folder / f"{index}.log") as relocalizer:
                if not sender.is_answered(120.0):
                    raise TimeoutError(f"the relocalizer does not answer: {relocalizer.program.last_words()}")
                while index < count and relocalizer.is_well:
                    sender.send(index)
                    asked = (index + 1) % ASK_EVERY == 0 or index + 1 == count
                    yield relocalizer.outcome(index, not asked or sender.is_answered(TIMEOUT_S))
                    index += 1


class _Relocalizer:
    """The program, its log as far as it has been read, and whether a defect was seen."""

    def __init__(self, log: Path) -> None:
        given = {"map": shipped("maps/demo_room"), "threads": 1, "tf_timeout": 0.0}
        self.program, self.is_well = Program("relocalizer", as_arguments(given), log), True
        self._log, self._read = log, 0

    def __enter__(self) -> "_Relocalizer":
        return self

    def __exit__(self, *_: object) -> None:
        self.program.stop()

    def outcome(self, index: int, answers: bool) -> Outcome:
        lines = whole_lines(self._log.read_bytes()[self._read :])
        self._read += len(lines)
        text = lines.decode(errors="replace")
        odd = [line for line in text.splitlines() if not line.startswith(LOG_LINES) or not line.isprintable()]
        peak_mb = self._peak_mb()
        kind = (
            "ended"
            if peak_mb is None
            else "traceback"
            if odd
            else "hang"
            if not answers
            else "above 2 GB"
            if peak_mb > MAX_PEAK_MB
            else "taken"
        )
        self.is_well = kind in ("taken", "traceback")
        return Outcome(index, kind, "\n".join(odd) if odd else text[-500:], peak_mb or 0.0)

    def _peak_mb(self) -> float | None:
        with suppress(OSError, ValueError, IndexError):
            status = Path(f"/proc/{self.program.pid}/status").read_text()
            return int(status.partition("VmHWM:")[2].split()[0]) / 1000
        return None


def _with(message: Any, fields: Mapping[str, Any]) -> Any:
    for name, value in fields.items():
        setattr(message, name, value)
    return message
