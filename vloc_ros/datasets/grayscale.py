"""A data set some of whose images are as a grey camera has them."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.types import Frame
from vloc_ros.datasets.wrapper import DatasetWrapper


def to_grayscale(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The RGB image (H, W, 3) as a grey camera has it: its luminance in all three channels."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class PartlyGrayscale(DatasetWrapper):
    """The frames of `parent`, the share `grey` of them, spread evenly, without their colours."""

    grey: float = 1.0

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        frame = self.parent.frame(index, depth=depth)
        number = index % len(self)
        if math.floor((number + 1) * self.grey) == math.floor(number * self.grey):
            return frame
        return replace(frame, image=CameraImage(to_grayscale(frame.image.rgb), frame.image.camera))
