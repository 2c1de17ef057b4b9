"""The raw encodings of sensor_msgs/Image -> RGB: one table, for the messages of rclpy and of rosbags."""

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ImageError
from vloc_ros.images.limits import check_pixels

Rgb = NDArray[np.uint8]


class RawImage(Protocol):
    """What is needed of sensor_msgs/Image. `data` holds bytes: array.array("B"), bytes or NumPy's uint8."""

    width: int
    height: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


@dataclass(frozen=True)
class Encoding:
    """How the pixels of an encoding lie in memory, and what makes RGB of them."""

    conversion: int | None  # OpenCV's; None: these are R, G, B
    channels: int = 1  # values a pixel, in the rows of the image itself
    bits: int = 8  # of a value
    even: tuple[int, int] = (1, 1)  # width and height are multiples of these: pixels share their colour
    planes: int = 2  # halves of the image's height that there are rows for: 3 where a plane with the colour follows


def _bits_of_8_and_16(name: str, conversion: int | None, channels: int = 1) -> dict[str, Encoding]:
    return {f"{name}{bits}": Encoding(conversion, channels, bits) for bits in (8, 16)}


# ROS names a Bayer pattern by the first row's first two pixels, OpenCV by the second row's second and third.
# Generic encodings do not say what their channels are; cv2_to_imgmsg calls BGR so, OpenCV's order.
ENCODINGS: dict[str, Encoding] = {
    **_bits_of_8_and_16("rgb", None, 3),
    **_bits_of_8_and_16("bgr", cv2.COLOR_BGR2RGB, 3),
    **_bits_of_8_and_16("rgba", cv2.COLOR_RGBA2RGB, 4),
    **_bits_of_8_and_16("bgra", cv2.COLOR_BGRA2RGB, 4),
    **_bits_of_8_and_16("mono", cv2.COLOR_GRAY2RGB),
    **_bits_of_8_and_16("bayer_rggb", cv2.COLOR_BayerBG2RGB),
    **_bits_of_8_and_16("bayer_bggr", cv2.COLOR_BayerRG2RGB),
    **_bits_of_8_and_16("bayer_gbrg", cv2.COLOR_BayerGR2RGB),
    **_bits_of_8_and_16("bayer_grbg", cv2.COLOR_BayerGB2RGB),
    "8UC1": Encoding(cv2.COLOR_GRAY2RGB),
    "8UC3": Encoding(cv2.COLOR_BGR2RGB, 3),
    "8UC4": Encoding(cv2.COLOR_BGRA2RGB, 4),
    "uyvy": Encoding(cv2.COLOR_YUV2RGB_UYVY, 2, even=(2, 1)),
    "yuv422": Encoding(cv2.COLOR_YUV2RGB_UYVY, 2, even=(2, 1)),
    "yuyv": Encoding(cv2.COLOR_YUV2RGB_YUYV, 2, even=(2, 1)),
    "yuv422_yuy2": Encoding(cv2.COLOR_YUV2RGB_YUYV, 2, even=(2, 1)),
    "nv12": Encoding(cv2.COLOR_YUV2RGB_NV12, even=(2, 2), planes=3),
    "nv21": Encoding(cv2.COLOR_YUV2RGB_NV21, even=(2, 2), planes=3),
}


def raw_to_rgb(message: RawImage) -> Rgb:
    """A new RGB uint8 (H, W, 3) of an image in one of ENCODINGS; grey becomes RGB, 16 bits are scaled to 8 and rounded.

    Rows may be padded, more data than needed is ignored. Raises ImageError.
    """
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        raise ImageError(f"its encoding is none of {', '.join(ENCODINGS)}")
    return values_to_rgb(_values(message, encoding), encoding)


def values_to_rgb(values: NDArray[Any], encoding: Encoding) -> Rgb:
    """A new RGB uint8 (H, W, 3) of an encoding's values: (H, W) or (H, W, channels), of nv12 and nv21 (3/2 H, W)."""
    rgb = values if encoding.conversion is None else cv2.cvtColor(values, encoding.conversion)
    if encoding.bits == 16:
        return np.asarray(cv2.convertScaleAbs(rgb, alpha=255 / 65535), dtype=np.uint8)
    return values.copy() if encoding.conversion is None else np.asarray(rgb, dtype=np.uint8)


def _values(message: RawImage, encoding: Encoding) -> NDArray[Any]:
    """The values (rows, W) or (rows, W, channels) in the machine's byte order, without padding. Raises ImageError."""
    width, height, step = message.width, message.height, message.step
    check_pixels(width, height)
    across, down = encoding.even
    if width % across or height % down:
        raise ImageError(f"its {'width and height' if down > 1 else 'width'} must be even in this encoding")
    row_bytes, rows = width * encoding.channels * encoding.bits // 8, height * encoding.planes // 2
    if step < row_bytes:
        raise ImageError(f"its step is {step}, its rows have {row_bytes} bytes")
    if len(message.data) < step * rows:
        raise ImageError(f"{len(message.data)} bytes, its step {step} needs {step * rows}")
    data = np.frombuffer(message.data, np.uint8, step * rows).reshape(rows, step)
    packed = np.ascontiguousarray(data[:, :row_bytes])
    if encoding.bits == 16:
        packed = packed.view(">u2" if message.is_bigendian else "<u2").astype(np.uint16, copy=False)
    return packed if encoding.channels == 1 else packed.reshape(rows, width, encoding.channels)
