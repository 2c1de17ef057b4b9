"""The colours that images show at key points, the same way when a map is made and when it is asked."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.types import CameraImage
from vloc_ros.methods.network_input import padded_input

# Pixels, along either side: a key point is where colours meet, and their mean hardly depends on where exactly.
PATCH = 5

Colors = NDArray[np.uint8]


def blurred_input(image: CameraImage, size: tuple[int, int], scale: float = 1.0) -> Colors:
    """`padded_input`, each pixel the mean of PATCH x PATCH."""
    return np.asarray(cv2.blur(padded_input(image, size, scale), (PATCH, PATCH)), dtype=np.uint8)


def colors_at(blurred: Colors, pixels: NDArray[np.floating]) -> Colors:
    """The colours (N, 3) of such an input at pixels (N, 2) of it."""
    columns, rows = np.rint(pixels).astype(np.intp).clip(0, np.array(blurred.shape[1::-1]) - 1).T
    return np.asarray(blurred[rows, columns])
