"""What a camera's sensor adds to a rendered image."""

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled

EXPOSURE, WHITE_BALANCE = 0.07, 0.015  # standard deviations of logarithms
READ_NOISE = 2.0  # standard deviation, of values 0..255
PAIR_DEVIATION = np.sqrt((256**2 - 1) / 6)  # of the sum of two random bytes


def expose(rgb: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """The image (H, W, 3) with exposure and white balance a little off, and noise; all drawn from the frame's name."""
    rng = np.random.default_rng(crc32(name.encode()))
    gain = np.exp(rng.normal(0, EXPOSURE) + rng.normal(0, WHITE_BALANCE, 3)).astype(np.float32)
    pairs = rng.integers(0, 256, (*rgb.shape, 2), dtype=np.uint8)
    noisy: NDArray[np.uint8] = _amplified(rgb, gain, pairs, np.float32(READ_NOISE / PAIR_DEVIATION))
    return noisy


@compiled()
def _amplified(rgb, gain, pairs, scale):  # type: ignore[no-untyped-def]
    """rgb * gain + noise, the noise triangular: the sum of two bytes, centred and scaled."""
    out = np.empty_like(rgb)
    for i in range(rgb.shape[0]):
        for j in range(rgb.shape[1]):
            for k in range(3):
                noise = np.float32(np.int32(pairs[i, j, k, 0]) + np.int32(pairs[i, j, k, 1]) - 255)
                value = np.float32(rgb[i, j, k]) * gain[k] + noise * scale
                out[i, j, k] = np.int32(min(max(value, np.float32(0.0)), np.float32(255.0)))
    return out
