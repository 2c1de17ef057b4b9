"""What all local features give."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.arrays import require_finite
from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES
from vloc_ros.core.session import Tensors


@dataclass(frozen=True, eq=False)
class KeyPoints:
    """N key points of an undistorted image, best first: pixels (N, 2), the centre of the first one (0, 0); scores (N,)
    > 0; descriptors (N, D) of length 1, float32. Raises ConfigError for other shapes and what is not finite."""

    pixels: NDArray[np.float64]
    scores: NDArray[np.float32]
    descriptors: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.pixels)
        require_finite("key points: pixels", self.pixels, (n, 2))
        require_finite("key points: scores", self.scores, (n,))
        require_finite("key points: descriptors", self.descriptors, (n, None))

    def __len__(self) -> int:
        return len(self.pixels)

    @classmethod
    def of(cls, tensors: Tensors) -> "KeyPoints":
        """Those that an extractor found in one image: it gives a fixed number, and a score of 0 where there is none."""
        found = tensors[SCORES] > 0
        pixels = tensors[KEY_POINTS][found].astype(np.float64)
        return cls(pixels, tensors[SCORES][found], tensors[DESCRIPTORS][found])
