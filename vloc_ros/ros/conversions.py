"""Messages to types and back. What is wrong with a message becomes a ConfigError of one line."""

import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseWithCovariance,
    PoseWithCovarianceStamped,
    Quaternion,
    Transform,
    TransformStamped,
    Vector3,
)
from numpy.typing import NDArray
from sensor_msgs.msg import Image, PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header, UInt8MultiArray

from vloc_ros.errors import ConfigError
from vloc_ros.geometry.stamps import join_stamp, split_stamp
from vloc_ros.geometry.transforms import Matrix, from_quaternion, to_quaternion

Rgb = NDArray[np.uint8]

LANDMARK_FIELDS = [
    PointField(name=name, offset=4 * index, datatype=datatype, count=1)
    for index, (name, datatype) in enumerate(
        [("x", PointField.FLOAT32), ("y", PointField.FLOAT32), ("z", PointField.FLOAT32), ("id", PointField.INT32)]
    )
]


def to_matrix(transform: Transform) -> Matrix:
    """4x4 matrix of a transform message. Raises ConfigError for one that is none."""
    return _matrix("transform", transform.translation, transform.rotation)


def from_pose(pose: Pose) -> Matrix:
    """4x4 matrix of a pose message. Raises ConfigError for one that is none."""
    return _matrix("pose", pose.position, pose.orientation)


def _matrix(what: str, position: Vector3 | Point, rotation: Quaternion) -> Matrix:
    translation = [position.x, position.y, position.z]
    try:
        matrix = from_quaternion([rotation.x, rotation.y, rotation.z, rotation.w], translation)
    except ValueError as error:
        raise ConfigError(f"{what}: {error}") from error
    if not np.isfinite(matrix).all():
        raise ConfigError(f"{what}: translation {translation} is not finite")
    return matrix


def to_transform(matrix: Matrix) -> Transform:
    x, y, z = matrix[:3, 3].tolist()
    return Transform(translation=Vector3(x=x, y=y, z=z), rotation=_quaternion(matrix))


def to_pose(matrix: Matrix) -> Pose:
    x, y, z = matrix[:3, 3].tolist()
    return Pose(position=Point(x=x, y=y, z=z), orientation=_quaternion(matrix))


def to_stamped_pose(matrix: Matrix, covariance: Matrix, where: Header) -> PoseWithCovarianceStamped:
    """With its covariance (6, 6), in ROS order."""
    pose = PoseWithCovariance(pose=to_pose(matrix), covariance=covariance.ravel())
    return PoseWithCovarianceStamped(header=where, pose=pose)


def _quaternion(matrix: Matrix) -> Quaternion:
    x, y, z, w = to_quaternion(matrix[:3, :3]).tolist()
    return Quaternion(x=x, y=y, z=z, w=w)


def to_transform_stamped(parent_from_child: Matrix, parent: str, child: str, stamp_ns: int) -> TransformStamped:
    return TransformStamped(
        header=header(stamp_ns, parent), child_frame_id=child, transform=to_transform(parent_from_child)
    )


def to_stamp_ns(stamp: Time) -> int:
    return join_stamp(stamp.sec, stamp.nanosec)


def header(stamp_ns: int, frame_id: str) -> Header:
    seconds, nanoseconds = split_stamp(stamp_ns)
    return Header(stamp=Time(sec=seconds, nanosec=nanoseconds), frame_id=frame_id)


def to_cloud(where: Header, points: Matrix, ids: Sequence[int] | NDArray[np.int32]) -> PointCloud2:
    """Landmarks as a cloud: points (N, 3) in metres as x, y, z float32, ids (N,) as id int32."""
    rows = np.empty(len(points), dtype=[("x", "f4"), ("y", "f4"), ("z", "f4"), ("id", "i4")])
    for axis, name in enumerate("xyz"):
        rows[name] = points[:, axis]
    rows["id"] = ids
    return point_cloud2.create_cloud(where, LANDMARK_FIELDS, rows)


def to_bytes_message(content: bytes) -> UInt8MultiArray:
    return UInt8MultiArray(data=array.array("B", content))


def to_image(where: Header, rgb: Rgb) -> Image:
    """RGB uint8 (H, W, 3) as rgb8."""
    height, width = rgb.shape[:2]
    data = array.array("B", rgb.tobytes())
    return Image(header=where, height=height, width=width, encoding="rgb8", step=3 * width, data=data)
