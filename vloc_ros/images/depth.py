"""Depth messages, raw or as image_transport's compressed_depth writes them, whoever has deserialized them -> metres."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ImageError
from vloc_ros.images.compressed import PNG_START, SATURATED_DEPTH, decode_values
from vloc_ros.images.limits import check_pixels
from vloc_ros.images.rvl import decode_rvl

Depth = NDArray[np.float32]

MILLIMETRES, METRES = ("16UC1", "mono16"), "32FC1"
# In front of what is compressed: a number that nobody reads, and how float depth was made 16 bits.
CONFIG = struct.Struct("<iff")
RVL_SIZE = struct.Struct("<ii")  # width and height, in front of the pixels
COMPRESSED = "compressedDepth"
PNG_16_BITS = b"\x10\x00"  # how many, and grey: behind the 24 bytes that say what it is, and how large


def to_depth(message: Any) -> Depth:
    """Depth (H, W) float32 in metres, 0 = unknown, of a sensor_msgs Image (16UC1 millimetres, 32FC1 metres) or of a
    CompressedImage of compressed_depth (PNG or RVL), or of a PNG alone (16 bits, millimetres). Raises ImageError."""
    try:
        return _decompressed(message) if hasattr(message, "format") else _raw(message)
    except ImageError as error:
        kind = message.format if hasattr(message, "format") else f"{message.width}x{message.height} {message.encoding}"
        raise ImageError(f"depth image, {kind!r}: {error}") from error


def holds_depth(message: Any) -> bool:
    """Whether a CompressedImage can be of depth: it is of compressed_depth, or a PNG of one channel of 16 bits."""
    begin = bytes(message.data[:26])
    return COMPRESSED in message.format or (begin.startswith(PNG_START) and begin[24:] == PNG_16_BITS)


def _raw(message: Any) -> Depth:
    if message.encoding not in (*MILLIMETRES, METRES):
        raise ImageError(f"depth is {', '.join(MILLIMETRES)} or {METRES}")
    width, height, step = message.width, message.height, message.step
    check_pixels(width, height)
    kind = np.dtype(np.float32 if message.encoding == METRES else np.uint16)
    if step < width * kind.itemsize or len(message.data) < step * height:
        raise ImageError(f"{len(message.data)} bytes in rows of {step} are too few")
    rows = np.frombuffer(message.data, np.uint8, step * height).reshape(height, step)[:, : width * kind.itemsize]
    values = np.ascontiguousarray(rows).view(kind.newbyteorder(">" if message.is_bigendian else "<"))
    return _metres(values) if message.encoding == METRES else _of_millimetres(values)


def _decompressed(message: Any) -> Depth:
    encoding, _, how = message.format.partition(";")
    data = bytes(message.data)
    if data.startswith(PNG_START) and encoding.strip() != METRES:  # of the transport `compressed`
        return _of_millimetres(_values(data))
    if encoding.strip() not in (*MILLIMETRES, METRES) or COMPRESSED not in how:
        raise ImageError(
            f"neither a PNG of 16 bits nor of compressed_depth, whose format is like '16UC1; {COMPRESSED} png'"
        )
    if len(data) <= CONFIG.size:
        raise ImageError(f"truncated, {len(data)} bytes")
    _, a, b = CONFIG.unpack_from(data)
    values = _values(data[CONFIG.size :])
    return _of_inverse(values, a, b) if encoding.strip() == METRES else _of_millimetres(values)


def _values(data: bytes) -> NDArray[np.uint16]:
    """(H, W)"""
    if not data.startswith(PNG_START):
        if len(data) < RVL_SIZE.size:
            raise ImageError(f"truncated, {len(data)} bytes")
        width, height = RVL_SIZE.unpack_from(data)
        check_pixels(width, height)
        return decode_rvl(data[RVL_SIZE.size :], width * height).reshape(height, width)
    values = decode_values(data)
    if values.dtype != np.uint16 or values.ndim != 2:
        raise ImageError(f"one channel of 16 bits is needed, this is {values.dtype} {values.shape}")
    return values.astype(np.uint16, copy=False)


def _of_millimetres(values: NDArray[np.uint16]) -> Depth:
    depth: Depth = values.astype(np.float32) * np.float32(1e-3)
    depth[values == SATURATED_DEPTH] = 0
    return depth


def _of_inverse(values: NDArray[np.uint16], a: float, b: float) -> Depth:
    """As compressed_depth makes 16 bits of metres: values = a / metres + b, 0 where nothing is known."""
    known = values > 0
    depth = np.zeros(values.shape, np.float32)
    depth[known] = a / np.maximum(values[known] - np.float32(b), np.float32(1e-6))
    return _metres(depth)


def _metres(values: NDArray[np.float32]) -> Depth:
    """NaN, infinity and what is not in front of the camera are unknown."""
    depth = values.astype(np.float32)
    depth[~(np.isfinite(depth) & (depth > 0))] = 0
    return depth
