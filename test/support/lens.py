"""For tests: what a camera with a lens sees, from what one without sees."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.camera import Camera


def through_lens(image: NDArray[Any], camera: Camera, interpolation: int) -> NDArray[Any]:
    """What `camera` sees of an image that the same camera without distortion took."""
    grid = np.indices(image.shape[:2], dtype=np.float64)[::-1].reshape(2, -1).T
    straight = cv2.undistortPoints(grid[:, None], camera.matrix, np.array(camera.distortion), P=camera.matrix)
    u, v = straight.reshape(*image.shape[:2], 2).astype(np.float32).transpose(2, 0, 1)
    return cv2.remap(image, u, v, interpolation)
