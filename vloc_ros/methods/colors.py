"""What cells and points look like to people: colours of labels and of places."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

GOLDEN_RATIO = 0.618033988749895
HUES = cv2.cvtColor(np.array([[(hue, 170, 255) for hue in range(180)]], dtype=np.uint8), cv2.COLOR_HSV2RGB)[0]
MIN_EXTENT = 1e-3  # metres, of a map that is flat
DARKEST = 30  # of 255: black is for nothing


def label_colors(labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """A bright colour per label, RGB (..., 3); neighbouring numbers get hues that are far apart; 0 is black."""
    hues = HUES[(labels * GOLDEN_RATIO % 1.0 * len(HUES)).astype(np.intp)]
    colors: NDArray[np.uint8] = np.where(labels[..., None] > 0, hues, np.uint8(0))
    return colors


def position_colors(points: NDArray[Any], within: NDArray[np.float64]) -> NDArray[np.uint8]:
    """RGB (..., 3) of points (..., 3), as scene coordinates are usually drawn: x red, y green, z blue, over the extent
    of the points (N, 3) `within`."""
    low, high = within.min(axis=0), within.max(axis=0)
    shares = np.clip((points - low) / np.maximum(high - low, MIN_EXTENT), 0, 1)
    colors: NDArray[np.uint8] = (DARKEST + (255 - DARKEST) * shares).astype(np.uint8)
    return colors
