"""Image messages to RGB."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.bags.reader import COMPRESSED_IMAGE
from vloc_ros.datasets.files import decode_image
from vloc_ros.errors import DatasetError

Rgb = NDArray[np.uint8]

# Encoding -> values a pixel, OpenCV's conversion. OpenCV names a Bayer pattern by the second row's second and third
# pixel, ROS by the first row's first two.
EIGHT_BITS: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "8UC3": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "8UC4": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8UC1": (1, cv2.COLOR_GRAY2RGB),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2RGB),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUYV),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUYV),
}
SIXTEEN_BITS = "mono16"


def to_rgb(message: Any, msgtype: str) -> Rgb:
    """RGB uint8 (H, W, 3) of an Image or CompressedImage; grey becomes RGB. Raises DatasetError."""
    if msgtype == COMPRESSED_IMAGE:
        return decode_image(f"compressed image, format {message.format!r}", bytes(message.data))
    return _raw(message)


def _raw(message: Any) -> Rgb:
    width, height, encoding = message.width, message.height, message.encoding
    what = f"image {width}x{height} {encoding!r}"
    if encoding != SIXTEEN_BITS and encoding not in EIGHT_BITS:
        raise DatasetError(f"{what}: unknown encoding; known are {', '.join([*EIGHT_BITS, SIXTEEN_BITS])}")
    values, conversion = EIGHT_BITS.get(encoding, (2, cv2.COLOR_GRAY2RGB))
    row_bytes = width * values
    if min(width, height) == 0 or message.step < row_bytes or len(message.data) < message.step * height:
        raise DatasetError(
            f"{what}: step {message.step} and {len(message.data)} bytes, needed are {row_bytes} a row in {height} rows"
        )
    rows = np.asarray(message.data)[: message.step * height].reshape(height, message.step)[:, :row_bytes]
    if encoding == SIXTEEN_BITS:
        pixels = rows.reshape(height, width, 2)[:, :, 0 if message.is_bigendian else 1]  # the upper byte
    else:
        pixels = rows.reshape(height, width, values) if values > 1 else rows
    pixels = np.ascontiguousarray(pixels)
    return pixels if conversion is None else np.asarray(cv2.cvtColor(pixels, conversion), dtype=np.uint8)
