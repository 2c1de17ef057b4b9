"""Image messages, whoever has deserialized them -> RGB."""

import re
from typing import Any

from vloc_ros.errors import ImageError
from vloc_ros.images.compressed import decode_rgb, decode_values
from vloc_ros.images.encodings import ENCODINGS, Rgb, raw_to_rgb, values_to_rgb

# What image_transport says of PNGs that hold the mosaic of a Bayer pattern; before it makes JPEGs, it makes grey of it.
_MOSAIC = re.compile(r"(bayer_[a-z]+(?:8|16)); png compressed *")


def to_rgb(message: Any) -> Rgb:
    """RGB uint8 (H, W, 3) of a sensor_msgs Image or CompressedImage, of rclpy or of rosbags. Raises ImageError.

    `data` may be an array.array("B"), bytes or NumPy's uint8.
    """
    compressed = hasattr(message, "format")
    try:
        return _decompressed(message.format, bytes(message.data)) if compressed else raw_to_rgb(message)
    except ImageError as error:
        if compressed:
            what = f"compressed image of {len(message.data)} bytes, format {message.format!r}"
        else:
            what = f"image {message.width}x{message.height} {message.encoding!r}"
        raise ImageError(f"{what}: {error}") from error


def _decompressed(image_format: str, data: bytes) -> Rgb:
    mosaic = _MOSAIC.fullmatch(image_format)
    encoding = ENCODINGS.get(mosaic[1]) if mosaic else None
    if encoding is None:
        return decode_rgb(data)
    values = decode_values(data)
    if values.ndim != 2 or values.dtype.itemsize * 8 != encoding.bits:
        found = f"{values.dtype} {values.shape}"
        raise ImageError(f"a Bayer mosaic is one channel of {encoding.bits} bits, this is {found}")
    return values_to_rgb(values, encoding)
