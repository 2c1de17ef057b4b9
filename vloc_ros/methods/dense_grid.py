"""What goes into a method's network and what comes out: the same for all methods."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.model_spec import GridSpec
from vloc_ros.core.session import Tensors
from vloc_ros.core.types import CameraImage
from vloc_ros.errors import ConfigError, ModelError

MAX_ROUNDING_PX = 8.0  # input heights are rounded to a multiple of 16, so 1280x720 becomes 320x176


def network_input(image: CameraImage, spec: GridSpec) -> NDArray[np.uint8]:
    """The image undistorted and scaled to (spec.height, spec.width, 3). Raises ConfigError for another aspect ratio."""
    width, height = image.camera.width, image.camera.height
    if abs(height * spec.width / width - spec.height) > MAX_ROUNDING_PX:
        raise ConfigError(
            f"image: {width}x{height} has another aspect ratio than the map's network input {spec.width}x{spec.height}"
        )
    undistorted = image.camera.undistort(image.rgb)
    if (width, height) == (spec.width, spec.height):
        return undistorted
    resized = cv2.resize(undistorted, (spec.width, spec.height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)


def checked_output(outputs: Tensors, name: str, spec: GridSpec) -> NDArray[Any]:
    """The output called `name`. Raises ModelError where it is missing, or not of the shape and type promised."""
    if name not in outputs:
        raise ModelError(f"network: no output {name!r}, it has {', '.join(sorted(outputs))}")
    output, tensor = outputs[name], spec.model.outputs[name]
    shape, dtype = tensor.shape, np.dtype(tensor.element)
    if output.shape != shape or output.dtype != dtype:
        raise ModelError(f"network: output {name!r} is {output.dtype} {output.shape} instead of {dtype} {shape}")
    return np.ascontiguousarray(output)


def image_pixels(
    input_pixels: NDArray[np.floating], image: CameraImage, spec: GridSpec
) -> tuple[NDArray[np.float64], float]:
    """From pixels (N, 2) of the network's input to those of the undistorted image, x' + 0.5 = (x + 0.5) * scale, and
    how much larger a pixel's length is there."""
    scale = np.array([image.camera.width / spec.width, image.camera.height / spec.height])
    return (input_pixels + 0.5) * scale - 0.5, float(np.sqrt(scale.prod()))
