"""Messages to types and back. What is wrong with a message becomes a ConfigError of one line."""

import array
from collections.abc import Sequence

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from cv_bridge import CvBridge
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, TransformStamped, Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header, UInt8MultiArray

from vloc_ros.core.transforms import Matrix, from_quaternion, to_quaternion
from vloc_ros.errors import ConfigError

Rgb = NDArray[np.uint8]

LANDMARK_FIELDS = [
    PointField(name=name, offset=4 * index, datatype=datatype, count=1)
    for index, (name, datatype) in enumerate(
        [("x", PointField.FLOAT32), ("y", PointField.FLOAT32), ("z", PointField.FLOAT32), ("id", PointField.INT32)]
    )
]
_BRIDGE = CvBridge()


def to_rgb(message: Image | CompressedImage) -> Rgb:
    """RGB uint8 (H, W, 3) of an image in any usual encoding; grey becomes RGB. Raises ConfigError."""
    return _decompressed(message) if isinstance(message, CompressedImage) else _raw(message)


def _raw(message: Image) -> Rgb:
    what = f"image {message.width}x{message.height} {message.encoding!r}"
    if message.width == 0 or message.height == 0:
        raise ConfigError(f"{what}: it is empty")
    if len(message.data) < message.step * message.height:
        raise ConfigError(
            f"{what}: {len(message.data)} bytes, its step {message.step} needs {message.step * message.height}"
        )
    try:
        rgb = np.asarray(_BRIDGE.imgmsg_to_cv2(_without_padding(message), "rgb8"))
    except Exception as error:  # cv_bridge lets whatever OpenCV or NumPy says through
        raise ConfigError(f"{what}: cannot be converted to rgb8: {_first_line(error)}") from error
    return _checked(what, rgb, message.width, message.height)


def _without_padding(message: Image) -> Image:
    """The same image with rows that touch: cv_bridge misreads those padded to no multiple of a pixel's size."""
    name, channels = _BRIDGE.encoding_to_dtype_with_channels(message.encoding)
    step = message.width * channels * np.dtype(name).itemsize
    if message.step < step:
        raise ValueError(f"its step is {message.step}, its rows have {step} bytes")
    if message.step == step:
        return message
    rows = np.frombuffer(message.data, np.uint8)[: message.step * message.height].reshape(message.height, -1)
    packed = array.array("B", rows[:, :step].tobytes())
    return Image(
        width=message.width,
        height=message.height,
        encoding=message.encoding,
        is_bigendian=message.is_bigendian,
        step=step,
        data=packed,
    )


def _decompressed(message: CompressedImage) -> Rgb:
    data = np.frombuffer(message.data, np.uint8)
    what = f"compressed image of {len(data)} bytes, format {message.format!r}"
    if not len(data):
        raise ConfigError(f"{what}: it is empty")
    if data[:2].tobytes() == b"\xff\xd8" and b"\xff\xd9" not in data[-64:].tobytes():
        raise ConfigError(f"{what}: truncated, its JPEG does not end")  # decoders fill up with grey and say nothing
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ConfigError(f"{what}: cannot be decoded: {_first_line(error)}") from error
    if bgr is None:
        raise ConfigError(f"{what}: cannot be decoded")
    height, width = bgr.shape[:2]
    return _checked(what, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), width, height)


def _checked(what: str, rgb: NDArray[np.generic], width: int, height: int) -> Rgb:
    if rgb.shape != (height, width, 3) or rgb.dtype != np.uint8:
        raise ConfigError(f"{what}: became {rgb.dtype} {rgb.shape}")
    return np.ascontiguousarray(rgb, dtype=np.uint8)


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


def _quaternion(matrix: Matrix) -> Quaternion:
    x, y, z, w = to_quaternion(matrix[:3, :3]).tolist()
    return Quaternion(x=x, y=y, z=z, w=w)


def to_transform_stamped(parent_from_child: Matrix, parent: str, child: str, stamp_ns: int) -> TransformStamped:
    return TransformStamped(
        header=header(stamp_ns, parent), child_frame_id=child, transform=to_transform(parent_from_child)
    )


def to_stamp_ns(stamp: Time) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def header(stamp_ns: int, frame_id: str) -> Header:
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
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
    return _BRIDGE.cv2_to_imgmsg(rgb, "rgb8", where)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
