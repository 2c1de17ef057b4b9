"""What a method saw in an image, for people."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Visualization:
    """What can be drawn of a view: `colors` RGB uint8 (h, w, 3) of a grid of cells over the whole image, black for
    nothing; `directions` (h, w, 2) in which the cells point, if they do; `key_points` (N, 2), pixels of the undistorted
    image, and their `key_point_colors`, RGB uint8 (N, 3), black for nothing. Each may be left out. Raises ConfigError
    for other shapes."""

    colors: NDArray[np.uint8] | None = None
    directions: NDArray[np.float32] | None = None
    key_points: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    key_point_colors: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.colors is not None and (self.colors.ndim != 3 or self.colors.shape[2] != 3):
            raise ConfigError(f"visualization: colors {self.colors.shape} are not (h, w, 3)")
        cells = None if self.colors is None else (*self.colors.shape[:2], 2)
        if self.directions is not None and self.directions.shape != cells:
            raise ConfigError(f"visualization: directions {self.directions.shape} of colors {cells}")
        if self.key_points.ndim != 2 or self.key_points.shape[1] != 2:
            raise ConfigError(f"visualization: key points {self.key_points.shape} are not (N, 2)")
        if self.key_point_colors is not None and self.key_point_colors.shape != (len(self.key_points), 3):
            raise ConfigError(
                f"visualization: colors {self.key_point_colors.shape} of {len(self.key_points)} key points"
            )
