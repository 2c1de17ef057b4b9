"""The robot's frames at the stamp of an image, from TF."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread

import numpy as np
import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.clock import Clock, ROSClock
from rclpy.duration import Duration
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.time import Time
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer, TransformException, TransformListener

from vloc_ros.errors import ConfigError, VlocError
from vloc_ros.geometry.rig import ALONE
from vloc_ros.geometry.transforms import Matrix, invert
from vloc_ros.ros.conversions import to_matrix, to_stamp_ns
from vloc_ros.ros.faults import QuietExecutor, spin
from vloc_ros.ros.guarded_node import GuardedNode
from vloc_ros.ros.parameters import MAP_TO_BASE, MAP_TO_CAMERA, MAP_TO_ODOM, RelocalizerParameters
from vloc_ros.tracking.track import FramesAtStamp

MAX_FUTURE_NS = 1_000_000_000  # of the simulation: /clock and /tf do not come in step
MAX_DISTANCE_M = 1e8  # between two frames; coordinates of surveyors are below 1e7


class TransformMissingError(VlocError):
    """TF does not connect two frames at the stamp of an image."""


class TransformReceiver:
    """Fills buffers from TF, in a node and a thread of their own beside `node`. They are made once: each new node costs
    a tenth of a megabyte that never comes back (findings/rclpy_node_memory.sh).

    Robots publish TF at hundreds of hertz, and an executor takes one message of each topic a turn: in one executor with
    everything else, transforms would be late, and later with every turn.
    """

    def __init__(self, node: GuardedNode) -> None:
        name = f"_{node.get_name()}_tf"  # hidden, for it has no parameter services that tools could ask
        self._node = rclpy.create_node(
            name,
            namespace=node.get_namespace(),
            context=node.context,
            # Remappings of /tf hold for it, the node's new name and its time do not.
            cli_args=["--ros-args", "-r", f"__node:={name}"],
            parameter_overrides=[Parameter("use_sim_time", value=False)],
            enable_rosout=False,
            start_parameter_services=False,
        )
        executor = QuietExecutor(context=node.context)
        executor.add_node(self._node)
        self._clock, self._log = node.get_clock(), node.get_logger()
        self._executor, self._closed = executor, Event()
        self._thread = Thread(target=spin, args=(executor, node.faults, self._closed), name=name, daemon=True)
        self._thread.start()

    @contextmanager
    def filling(self, buffer: Buffer) -> Iterator[None]:
        """Listen for as long as this lasts."""
        listener = _TimelyListener(buffer, self._node, self._clock, self._log)
        try:
            yield
        finally:
            listener.unregister()

    def close(self) -> None:
        """End the thread and the node."""
        self._closed.set()
        self._executor.wake()
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()


class _TimelyListener(TransformListener):
    """Ignores transforms from the future of a simulation: they are late ones of the run before. A buffer that has one
    of them believes all that follow to be older than it keeps, or blends them with it."""

    def __init__(self, buffer: Buffer, node: Node, clock: Clock, log: RcutilsLogger) -> None:
        self._clock, self._log = clock, log
        super().__init__(buffer, node)

    def callback(self, data: TFMessage) -> None:
        data.transforms = self._timely(data.transforms)
        super().callback(data)

    def _timely(self, transforms: Sequence[TransformStamped]) -> list[TransformStamped]:
        """Without those of stamps that cannot be: tf2 would stop at one, and never look at the others."""
        stamped = [t for t in transforms if to_stamp_ns(t.header.stamp) >= 0]
        if len(stamped) < len(transforms):
            self._log.warning("TF with a negative stamp is ignored", throttle_duration_sec=10.0)
        if isinstance(self._clock, ROSClock) and self._clock.ros_time_is_active:
            latest_ns = self._clock.now().nanoseconds + MAX_FUTURE_NS
            timely = [t for t in stamped if to_stamp_ns(t.header.stamp) <= latest_ns]
            if len(timely) < len(stamped):
                self._log.warning("TF from the future of the simulation is ignored", throttle_duration_sec=10.0)
            return timely
        return stamped


def frames_at(buffer: Buffer, camera_frame: str, stamp_ns: int, parameters: RelocalizerParameters) -> FramesAtStamp:
    """Wait for at most `tf_timeout` and look the frames up. Raises TransformMissingError, saying which, and why.

    Odometry is used where it is corrected: in the mode map_to_odom. In the others nobody needs to provide it. In the
    mode map_to_camera the camera is the robot, for a frame has one parent only.
    """
    timeout = Duration(nanoseconds=int(parameters.tf_timeout * 1e9))
    return _frames(buffer, camera_frame, stamp_ns, parameters, timeout)


def _frames(
    buffer: Buffer, camera_frame: str, stamp_ns: int, parameters: RelocalizerParameters, timeout: Duration
) -> FramesAtStamp:
    base, odom = base_frame(parameters), _odom_frame(parameters)
    return FramesAtStamp(
        base_from_camera=_look_up(buffer, base, camera_frame, stamp_ns, timeout) if base else np.eye(4),
        odom_from_base=_look_up(buffer, odom, base or camera_frame, stamp_ns, timeout) if odom else None,
    )


def frames_now(
    buffer: Buffer, camera_frame: str, stamp_ns: int, parameters: RelocalizerParameters, wait: bool
) -> FramesAtStamp | None:
    """The same, by the newest transforms where those of the stamp are not there yet, or, if it may `wait`, not after
    `tf_timeout` either; None where there are none."""
    patience = Duration(nanoseconds=int(parameters.tf_timeout * 1e9)) if wait else Duration()
    for when_ns, timeout in ((stamp_ns, patience), (0, Duration())):
        with suppress(TransformMissingError):
            return _frames(buffer, camera_frame, when_ns, parameters, timeout)
    return None


def rig_from_camera(
    buffer: Buffer, rig: tuple[str, int], camera: tuple[str, int], parameters: RelocalizerParameters
) -> Matrix:
    """Where a camera was (4, 4) at the stamp of its image, on a rig as that was at its own; both are given by frame and
    stamp. Where odometry is used, it says how the robot moved in between; where it is not, the robot is taken to stand.

    Waits for at most `tf_timeout`. Raises TransformMissingError.
    """
    if rig == camera:
        return ALONE
    odom, timeout = _odom_frame(parameters), Duration(nanoseconds=int(parameters.tf_timeout * 1e9))
    (rig_frame, rig_ns), (camera_frame, camera_ns) = rig, camera
    if rig_ns == camera_ns or not odom:
        return _look_up(buffer, rig_frame, camera_frame, camera_ns, timeout)
    odom_from_rig = _look_up(buffer, odom, rig_frame, rig_ns, timeout)
    moved: Matrix = invert(odom_from_rig) @ _look_up(buffer, odom, camera_frame, camera_ns, timeout)
    return moved


@dataclass(frozen=True, eq=False)
class Odometry:
    """`odom_from_base` (4, 4) at a stamp."""

    stamp_ns: int
    odom_from_base: Matrix


def newest_odometry(buffer: Buffer, parameters: RelocalizerParameters) -> Odometry | None:
    """As the newest transforms have it; None where it is not used, or not there."""
    return odometry_at(buffer, 0, parameters)


def odometry_at(buffer: Buffer, stamp_ns: int, parameters: RelocalizerParameters) -> Odometry | None:
    """As the transforms of a stamp have it, 0 for the newest, without waiting; None where it is not used, or not
    there."""
    camera = next(iter(parameters.camera_frames), parameters.camera_frame)
    base, odom = base_frame(parameters) or camera, _odom_frame(parameters)
    if not base or not odom:
        return None
    try:
        found = buffer.lookup_transform(odom, base, Time(nanoseconds=stamp_ns), Duration())
        return Odometry(to_stamp_ns(found.header.stamp), _checked(found, odom, base))
    except (TransformException, VlocError):
        return None


def base_frame(parameters: RelocalizerParameters) -> str:
    """The frame that is the robot; "" where the camera is."""
    return "" if parameters.tf_mode == MAP_TO_CAMERA else parameters.base_frame


def broadcast_frame(parameters: RelocalizerParameters, camera_frame: str) -> str | None:
    """The frame that is broadcast below the map's; None where nothing is."""
    base = parameters.base_frame or camera_frame
    frames = {MAP_TO_ODOM: parameters.odom_frame, MAP_TO_BASE: base, MAP_TO_CAMERA: camera_frame}
    return frames.get(parameters.tf_mode)


def _odom_frame(parameters: RelocalizerParameters) -> str:
    return parameters.odom_frame if parameters.tf_mode == MAP_TO_ODOM else ""


def _look_up(buffer: Buffer, target: str, source: str, stamp_ns: int, timeout: Duration) -> Matrix:
    try:
        found = buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns), timeout)
    except TransformException as error:
        raise TransformMissingError(f"{target} <- {source} at {stamp_ns * 1e-9:.3f} s: {error}") from error
    return _checked(found, target, source)


def _checked(found: TransformStamped, target: str, source: str) -> Matrix:
    """The matrix of a transform. Raises TransformMissingError for what is none."""
    try:
        matrix = to_matrix(found.transform)
    except ConfigError as error:
        raise TransformMissingError(f"{target} <- {source}: {error}") from error
    if np.abs(matrix[:3, 3]).max() > MAX_DISTANCE_M:
        raise TransformMissingError(f"{target} <- {source}: translation {matrix[:3, 3].tolist()} m is impossible")
    return matrix
