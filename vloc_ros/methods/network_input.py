"""Images as networks are given them, and the way back from their pixels to the image's."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.types import CameraImage
from vloc_ros.errors import ConfigError

MAX_ROUNDING_PX = 8.0  # input heights are rounded to a multiple of 16, so 1280x720 becomes 320x176


def network_input(image: CameraImage, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The image undistorted and scaled to width and height: (height, width, 3). Raises ConfigError for another aspect
    ratio."""
    width, height = image.camera.width, image.camera.height
    if abs(height * size[0] / width - size[1]) > MAX_ROUNDING_PX:
        raise ConfigError(
            f"image: {width}x{height} has another aspect ratio than the map's network input {size[0]}x{size[1]}"
        )
    return _resized(image.camera.undistort(image.rgb), size)


def _resized(rgb: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """To this width and height, whatever the aspect ratio; the array itself if it has that size."""
    if (rgb.shape[1], rgb.shape[0]) == size:
        return rgb
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def scaled_size(width: int, height: int, size: tuple[int, int], scale: float = 1.0) -> tuple[int, int]:
    """Width and height that an image of this width and height is scaled to for an input of that `size`: the same, or,
    where the aspect ratios differ, the largest that fits into it; of which a `scale` below 1 is a part."""
    largest = min(size[0] / width, size[1] / height)
    if abs(height * size[0] / width - size[1]) > MAX_ROUNDING_PX:
        size = round(largest * width), round(largest * height)
    return max(1, round(scale * size[0])), max(1, round(scale * size[1]))


def padded_input(image: CameraImage, size: tuple[int, int], scale: float = 1.0) -> NDArray[np.uint8]:
    """`network_input` of an image of any aspect ratio: where it is another than the input's, what is missing on the
    right or below is filled with the pixels of the border."""
    inner = scaled_size(image.camera.width, image.camera.height, size, scale)
    rgb = _resized(image.camera.undistort(image.rgb), inner)
    if inner == size:
        return rgb
    missing = size[1] - inner[1], size[0] - inner[0]
    return np.asarray(cv2.copyMakeBorder(rgb, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE), dtype=np.uint8)


def image_pixels(
    input_pixels: NDArray[np.floating], image: CameraImage, size: tuple[int, int], scale: float = 1.0
) -> tuple[NDArray[np.float64], float]:
    """From pixels (N, 2) of an input of this width and height to those of the undistorted image, x' + 0.5 = (x + 0.5) *
    scale, and how much larger a pixel's length is there."""
    width, height = scaled_size(image.camera.width, image.camera.height, size, scale)
    factors = np.array([image.camera.width / width, image.camera.height / height])
    return (input_pixels + 0.5) * factors - 0.5, float(np.sqrt(factors.prod()))
