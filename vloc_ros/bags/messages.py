"""Messages of a robot with a camera, for writing bags: those of `rosbags`, no ROS is needed."""

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.bags.reader import CAMERA_INFO, COMPRESSED_IMAGE, ODOMETRY, POSE, RAW_IMAGE, TF, TRANSFORM, typestore
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.camera_info import info_fields
from vloc_ros.geometry.stamps import split_stamp
from vloc_ros.geometry.transforms import Matrix, to_quaternion

Rgb = NDArray[np.uint8]


@cache
def _types() -> dict[str, Any]:
    types: dict[str, Any] = typestore().types
    return types


def header(stamp_ns: int, frame_id: str) -> Any:
    seconds, nanoseconds = split_stamp(stamp_ns)
    stamp = _types()["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return _types()["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)


def image(stamp_ns: int, frame_id: str, rgb: Rgb) -> Any:
    """An Image, rgb8."""
    return _raw_image(stamp_ns, frame_id, "rgb8", rgb)


def depth_image(stamp_ns: int, frame_id: str, depth: NDArray[np.float32]) -> Any:
    """An Image of depth (H, W) in metres, 16UC1: millimetres, 0 where it is not known."""
    millimetres = np.where(np.isfinite(depth), np.round(depth * 1000), 0).clip(0, 65535).astype("<u2")
    return _raw_image(stamp_ns, frame_id, "16UC1", millimetres)


def _raw_image(stamp_ns: int, frame_id: str, encoding: str, pixels: NDArray[Any]) -> Any:
    """An Image of pixels (H, W) or (H, W, channels), little-endian."""
    height, width = pixels.shape[:2]
    data = np.ascontiguousarray(pixels).view(np.uint8).reshape(-1)
    return _types()[RAW_IMAGE](
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=data.size // height,
        data=data,
    )


def jpeg_image(stamp_ns: int, frame_id: str, rgb: Rgb, quality: int) -> Any:
    """A CompressedImage as image_transport makes them; `quality` 1 to 100."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return _types()[COMPRESSED_IMAGE](
        header=header(stamp_ns, frame_id), format="rgb8; jpeg compressed bgr8", data=encoded.reshape(-1)
    )


def camera_info(stamp_ns: int, frame_id: str, camera: Camera) -> Any:
    roi = _types()["sensor_msgs/msg/RegionOfInterest"](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    fields = info_fields(camera)
    fields["d"] = np.array(fields["d"])
    return _types()[CAMERA_INFO](header=header(stamp_ns, frame_id), **fields, binning_x=0, binning_y=0, roi=roi)


def pose(stamp_ns: int, frame_id: str, frame_from_pose: Matrix) -> Any:
    """A PoseStamped."""
    return _types()[POSE](header=header(stamp_ns, frame_id), pose=_pose(frame_from_pose))


def odometry(stamp_ns: int, frame_id: str, child_frame_id: str, frame_from_child: Matrix) -> Any:
    """An Odometry that says nothing of speeds, and claims no accuracy."""
    nothing = np.zeros(36)
    zero = _types()["geometry_msgs/msg/Vector3"](x=0.0, y=0.0, z=0.0)
    twist = _types()["geometry_msgs/msg/Twist"](linear=zero, angular=zero)
    return _types()[ODOMETRY](
        header=header(stamp_ns, frame_id),
        child_frame_id=child_frame_id,
        pose=_types()["geometry_msgs/msg/PoseWithCovariance"](pose=_pose(frame_from_child), covariance=nothing),
        twist=_types()["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=nothing),
    )


def transform(stamp_ns: int, frame_id: str, child_frame_id: str, frame_from_child: Matrix) -> Any:
    """A TransformStamped."""
    x, y, z = frame_from_child[:3, 3].tolist()
    content = _types()["geometry_msgs/msg/Transform"](
        translation=_types()["geometry_msgs/msg/Vector3"](x=x, y=y, z=z), rotation=_quaternion(frame_from_child)
    )
    return _types()[TRANSFORM](header=header(stamp_ns, frame_id), child_frame_id=child_frame_id, transform=content)


def transforms(*stamped: Any) -> Any:
    """A TFMessage of TransformStamped messages."""
    return _types()[TF](transforms=list(stamped))


def _pose(frame_from_pose: Matrix) -> Any:
    x, y, z = frame_from_pose[:3, 3].tolist()
    position = _types()["geometry_msgs/msg/Point"](x=x, y=y, z=z)
    return _types()["geometry_msgs/msg/Pose"](position=position, orientation=_quaternion(frame_from_pose))


def _quaternion(matrix: Matrix) -> Any:
    x, y, z, w = to_quaternion(matrix[:3, :3]).tolist()
    return _types()["geometry_msgs/msg/Quaternion"](x=x, y=y, z=z, w=w)
