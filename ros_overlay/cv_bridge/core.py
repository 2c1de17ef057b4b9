"""The bridge."""

import array
import sys
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cv_bridge import color


class CvBridgeError(TypeError):
    """A conversion that is not possible."""


class CvBridge:
    """Converts between messages and arrays of shape (H, W) for one channel, (H, W, channels) for more."""

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """For example ("uint8", 3). Raises CvBridgeError for an unknown encoding."""
        try:
            depth, channels = color.cv_type(encoding)
        except ValueError as error:
            raise CvBridgeError(str(error)) from error
        return color.DTYPES[depth], channels

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> color.Image:
        """The image in the machine's byte order, without padding; for "passthrough" it may share the message's memory.

        Raises CvBridgeError for unknown encodings and conversions, TypeError for too little data.
        """
        name, channels = self.encoding_to_dtype_with_channels(img_msg.encoding)
        dtype = np.dtype(name).newbyteorder(">" if img_msg.is_bigendian else "<")
        columns = int(img_msg.step / dtype.itemsize / channels)
        shape = (img_msg.height, columns) if channels == 1 else (img_msg.height, columns, channels)
        padded = np.ndarray(shape, dtype, buffer=img_msg.data)
        image = np.ascontiguousarray(padded[:, : img_msg.width], dtype=name)
        return image if desired_encoding == "passthrough" else _converted(image, img_msg.encoding, desired_encoding)

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = "passthrough"
    ) -> color.Image | None:
        """Decoded as it is stored, in OpenCV's order BGR, which other encodings are made from; None for no image."""
        image: Any = cv2.imdecode(np.frombuffer(cmprs_img_msg.data, np.uint8), cv2.IMREAD_UNCHANGED)
        return image if desired_encoding in ("passthrough", "bgr8") else _converted(image, "bgr8", desired_encoding)

    def cv2_to_imgmsg(self, cvim: color.Image, encoding: str = "passthrough", header: Header | None = None) -> Image:
        """Raises CvBridgeError for an encoding that does not fit the array, TypeError for what is no array."""
        _check_array(cvim)
        dtype_and_channels = cvim.dtype.name, 1 if cvim.ndim < 3 else cvim.shape[2]
        if encoding == "passthrough":
            encoding = color.generic_encoding(*dtype_and_channels)
        elif self.encoding_to_dtype_with_channels(encoding) != dtype_and_channels:
            raise CvBridgeError(f"an image of {dtype_and_channels} cannot be encoded as {encoding!r}")
        message = Image(height=cvim.shape[0], width=cvim.shape[1], encoding=encoding)
        if header is not None:
            message.header = header
        message.is_bigendian = cvim.dtype.byteorder == ">" or (cvim.dtype.isnative and sys.byteorder == "big")
        message.data = array.array("B", cvim.tobytes())
        message.step = len(message.data) // message.height
        return message

    def cv2_to_compressed_imgmsg(self, cvim: color.Image, dst_format: str = "jpg") -> CompressedImage:
        """By the formats of cv2.imencode. The image is in OpenCV's order BGR."""
        _check_array(cvim)
        _, encoded = cv2.imencode(f".{dst_format}", cvim)
        return CompressedImage(format=dst_format, data=array.array("B", encoded.tobytes()))


def _converted(image: color.Image, source: str, target: str) -> color.Image:
    try:
        return color.converted(image, source, target)
    except (ValueError, cv2.error) as error:
        raise CvBridgeError(str(error)) from error


def _check_array(image: object) -> None:
    if not isinstance(image, (np.ndarray, np.generic)):
        raise TypeError(f"an image is a NumPy array, not {type(image).__name__}")
