"""How good an image is to look at: sharp or blurred, dark or overexposed."""

import cv2
import numpy as np
from numpy.typing import NDArray

QUALITIES = ("sharpness", "brightness", "clipped")  # the columns of `image_quality`
WIDTH = 320  # pixels: what is blurred at this width is of no use
BLACK, WHITE = 3, 252  # beyond these a pixel says nothing but that it is dark or bright


def image_quality(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Of an image (H, W, 3): `sharpness`, the mean grey value in 0 .. 1, and the share of its pixels that are black or
    white."""
    grey = _small_grey(rgb)
    clipped = np.mean((grey <= BLACK) | (grey >= WHITE))
    return np.array([_sharpness(grey), grey.mean() / 255, clipped], dtype=np.float32)


def sharpness(rgb: NDArray[np.uint8]) -> float:
    """The mean size of the second derivative over that of the first: falls with blur, not with contrast or texture."""
    return _sharpness(_small_grey(rgb))


def _small_grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    width = min(WIDTH, rgb.shape[1])
    height = max(1, round(rgb.shape[0] * width / rgb.shape[1]))
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))


def _sharpness(grey: NDArray[np.uint8]) -> float:
    real = grey.astype(np.float32)
    first = cv2.magnitude(cv2.Sobel(real, cv2.CV_32F, 1, 0), cv2.Sobel(real, cv2.CV_32F, 0, 1))
    second = cv2.Laplacian(real, cv2.CV_32F)
    return float(np.abs(second).mean() / (first.mean() + 1.0))
