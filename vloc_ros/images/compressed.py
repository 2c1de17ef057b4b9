"""The content of JPEG and PNG files -> pixels, all checked first."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ImageError
from vloc_ros.images import jpeg
from vloc_ros.images.limits import check_pixels

PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
SATURATED_DEPTH = 65535  # as unknown as 0


def decode_rgb(data: bytes) -> NDArray[np.uint8]:
    """RGB uint8 (H, W, 3) of a JPEG or PNG; grey becomes RGB. Raises ImageError.

    As stored: an EXIF orientation is ignored, for intrinsics and depth are those of the unrotated image.
    """
    bgr = _decoded(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def decode_upright(data: bytes) -> NDArray[np.uint8]:
    """As `decode_rgb`, but turned as an EXIF orientation says: as every viewer shows it. Raises ImageError."""
    return np.asarray(cv2.cvtColor(_decoded(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), dtype=np.uint8)


def decode_depth(data: bytes) -> NDArray[np.float32]:
    """Depth (H, W) in metres, 0 = unknown, of a 16-bit PNG in millimetres (0, 65535 = unknown). Raises ImageError."""
    raw = decode_values(data)
    if raw.dtype != np.uint16 or raw.ndim != 2:
        channels = 1 if raw.ndim == 2 else raw.shape[2]
        raise ImageError(f"depth must be one channel of 16 bits, this is {channels} of {raw.dtype}")
    depth: NDArray[np.float32] = raw * np.float32(1e-3)
    depth[raw == SATURATED_DEPTH] = 0
    return depth


def decode_values(data: bytes) -> NDArray[np.integer[Any]]:
    """The values of a JPEG or PNG as OpenCV has them: (H, W) or (H, W, channels), 8 or 16 bits. Raises ImageError."""
    return _decoded(data, cv2.IMREAD_UNCHANGED)


def _decoded(data: bytes, flags: int) -> NDArray[np.integer[Any]]:
    if not data:
        raise ImageError("it is empty")
    if data.startswith(jpeg.START):
        jpeg.check_header(data)
        jpeg.check_damage(data)
    elif data.startswith(PNG_START):
        _check_png(data)
    else:
        raise ImageError("neither a JPEG nor a PNG")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"cannot be decoded ({error.err})") from error
    if image is None:
        raise ImageError("damaged, cannot be decoded")
    return np.asarray(image)


def _check_png(data: bytes) -> None:
    """Raise ImageError for a PNG that does not end or is too large. Damage is known to the decoder by checksums."""
    if PNG_END not in data:
        raise ImageError(f"truncated, the image ends after {len(data)} bytes")
    if data[12:16] != b"IHDR":
        raise ImageError("damaged, it does not say its size")
    check_pixels(int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
