"""The map's preview picture: a held-out image beside what the network sees in it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.types import CameraImage
from vloc_ros.localizer import Localizer
from vloc_ros.methods.network_input import padded_input

HEIGHT = 120  # pixels; a map is to be small


def draw_preview(localizer: Localizer, image: CameraImage) -> NDArray[np.uint8]:
    """The network's input and, beside it, the same with what each cell shows over it, uint8 (HEIGHT, W, 3)."""
    size = localizer.landmark_map.manifest.image_size
    pixels = padded_input(image, size)
    tensors = localizer.observe(image).tensors[0]
    colors = localizer.method.visualize(tensors, image, localizer.landmark_map).colors
    seen = pixels if colors is None else cv2.resize(colors, size, interpolation=cv2.INTER_NEAREST)
    pair = np.hstack([pixels, cv2.addWeighted(pixels, 0.4, seen, 0.6, 0)])
    scale = HEIGHT / pair.shape[0]
    return np.asarray(cv2.resize(pair, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)
