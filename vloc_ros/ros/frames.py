"""The robot's frames at the stamp of an image, from TF."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Thread

import numpy as np
import rclpy
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros import Buffer, TransformException, TransformListener

from vloc_ros.core.transforms import Matrix
from vloc_ros.errors import VlocError
from vloc_ros.ros.conversions import to_matrix
from vloc_ros.ros.parameters import MAP_TO_CAMERA, MAP_TO_ODOM, RelocalizerParameters


class TransformMissingError(VlocError):
    """TF does not connect two frames at the stamp of an image."""


@dataclass(frozen=True, eq=False)
class FramesAtStamp:
    """`base_from_camera` 4x4; `odom_from_base` 4x4 where odometry is used."""

    base_from_camera: Matrix
    odom_from_base: Matrix | None


@contextmanager
def receiving_transforms(node: Node, buffer: Buffer) -> Iterator[None]:
    """Fill the buffer, in a node and a thread of their own beside `node`.

    Robots publish TF at hundreds of hertz, and an executor takes one message of each topic a turn: in one executor with
    everything else, transforms would be late, and later with every turn.
    """
    name = f"{node.get_name()}_tf"
    listener = rclpy.create_node(
        name,
        namespace=node.get_namespace(),
        context=node.context,
        cli_args=["--ros-args", "-r", f"__node:={name}"],  # remappings of /tf hold for it, the node's new name does not
        enable_rosout=False,
        start_parameter_services=False,
    )
    TransformListener(buffer, listener)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(listener)
    thread = Thread(target=_spin, args=(executor,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join()
        listener.destroy_node()


def _spin(executor: SingleThreadedExecutor) -> None:
    with suppress(ExternalShutdownException, ShutdownException):
        executor.spin()


def frames_at(buffer: Buffer, camera_frame: str, stamp_ns: int, parameters: RelocalizerParameters) -> FramesAtStamp:
    """Wait for at most `tf_timeout` and look the frames up. Raises TransformMissingError, saying which, and why.

    Odometry is used where it is corrected: in the mode map_to_odom. In the others nobody needs to provide it. In the
    mode map_to_camera the camera is the robot, for a frame has one parent only.
    """
    base, odom = base_frame(parameters), _odom_frame(parameters)
    timeout = Duration(nanoseconds=int(parameters.tf_timeout * 1e9))
    return FramesAtStamp(
        base_from_camera=_look_up(buffer, base, camera_frame, stamp_ns, timeout) if base else np.eye(4),
        odom_from_base=_look_up(buffer, odom, base or camera_frame, stamp_ns, timeout) if odom else None,
    )


def newest_odometry(buffer: Buffer, parameters: RelocalizerParameters) -> Matrix | None:
    """`odom_from_base` as the newest transforms have it; None where it is not used, or not there."""
    base, odom = base_frame(parameters) or parameters.camera_frame, _odom_frame(parameters)
    if not base or not odom:
        return None
    try:
        return _look_up(buffer, odom, base, 0, Duration())
    except VlocError:
        return None


def base_frame(parameters: RelocalizerParameters) -> str:
    """The frame that is the robot; "" where the camera is."""
    return "" if parameters.tf_mode == MAP_TO_CAMERA else parameters.base_frame


def _odom_frame(parameters: RelocalizerParameters) -> str:
    return parameters.odom_frame if parameters.tf_mode == MAP_TO_ODOM else ""


def _look_up(buffer: Buffer, target: str, source: str, stamp_ns: int, timeout: Duration) -> Matrix:
    try:
        found = buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns), timeout)
    except TransformException as error:
        raise TransformMissingError(f"{target} <- {source} at {stamp_ns * 1e-9:.3f} s: {error}") from error
    return to_matrix(found.transform)
