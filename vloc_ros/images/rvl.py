"""RVL, a lossless compression of depth images (Wilson, Fast Lossless Depth Image Compression, ISS 2017)."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.errors import ImageError


def decode_rvl(data: bytes, pixels: int) -> NDArray[np.uint16]:
    """So many values (pixels,), row after row. Raises ImageError for data that end before, or say more.

    Runs of zeros and of other values take turns, each begun by its length; a value is the difference to the one before
    that is not zero. Numbers are groups of three bits, the lowest first, in halves of a byte whose highest bit says
    that more follow; eight halves are a 32-bit word, the highest first.
    """
    words = np.frombuffer(data, "<u4", len(data) // 4).astype(np.uint32)
    values = np.zeros(pixels, np.uint16)
    if _decode(words, values) != pixels:
        raise ImageError(f"RVL data are damaged or cut short: they do not hold {pixels} pixels")
    return values


@compiled()
def _number(words, place):  # type: ignore[no-untyped-def]
    """A number at that half of a byte, and the place behind it; a place of -1 where the data end, or no end comes."""
    value, shift = np.int64(0), 0
    while place < 8 * len(words) and shift < 33:
        half = (np.int64(words[place // 8]) >> (28 - 4 * (place % 8))) & 15
        value |= (half & 7) << shift
        shift += 3
        place += 1
        if half < 8:
            return value, place
    return np.int64(0), -1


@compiled()
def _decode(words, values):  # type: ignore[no-untyped-def]
    """How many values were filled; -1 where the data are damaged."""
    place, done, value = 0, 0, np.int64(0)
    while done < len(values):
        zeros, place = _number(words, place)
        if place < 0 or zeros > len(values) - done:
            return -1
        done += zeros
        others, place = _number(words, place)
        if place < 0 or others > len(values) - done or zeros + others == 0:
            return -1
        for _ in range(others):
            folded, place = _number(words, place)
            if place < 0:
                return -1
            value += (folded >> 1) ^ -(folded & 1)
            values[done] = value & 0xFFFF
            done += 1
    return done
