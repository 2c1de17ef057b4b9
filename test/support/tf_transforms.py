"""Transforms and buffers of TF for its tests."""

from math import cos, sin

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from tf2_ros.buffer import Buffer

from vloc_ros.geometry.transforms import Matrix, from_quaternion

START = 100.0  # a time, in seconds
LATEST = Time()


def at(seconds: float) -> Time:
    return Time(nanoseconds=round(seconds * 1e9))


def transform(
    parent: str,
    child: str,
    seconds: float = START,
    xyz: tuple[float, float, float] = (0.0, 0.0, 0.0),
    yaw: float = 0.0,
) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp = at(seconds).to_msg()
    position, rotation = message.transform.translation, message.transform.rotation
    position.x, position.y, position.z = xyz
    rotation.z, rotation.w = sin(yaw / 2), cos(yaw / 2)
    return message


def random_transform(parent: str, child: str, rng: np.random.Generator) -> TransformStamped:
    message = transform(parent, child, xyz=tuple(rng.normal(size=3).tolist()))
    quaternion = rng.normal(size=4)
    rotation = message.transform.rotation
    rotation.x, rotation.y, rotation.z, rotation.w = (quaternion / np.linalg.norm(quaternion)).tolist()
    return message


def matrix(message: TransformStamped) -> Matrix:
    t, q = message.transform.translation, message.transform.rotation
    return from_quaternion([q.x, q.y, q.z, q.w], [t.x, t.y, t.z])


def filled(*messages: TransformStamped, **arguments: Duration) -> Buffer:
    buffer = Buffer(**arguments)
    for message in messages:
        buffer.set_transform(message, "test")
    return buffer


def look_up(buffer: Buffer, target: str, source: str, time: Time = LATEST) -> Matrix:
    return matrix(buffer.lookup_transform(target, source, time))
