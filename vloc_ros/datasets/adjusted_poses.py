"""A data set whose poses were found to be others than those recorded."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.types import Frame
from vloc_ros.datasets.wrapper import DatasetWrapper


@dataclass(frozen=True, eq=False)
class AdjustedPoses(DatasetWrapper):
    """The frames of `parent` with `poses` (N, 4, 4) in place of its own."""

    poses: NDArray[np.float64]

    def map_from_camera(self, index: int) -> NDArray[np.float64]:
        pose: NDArray[np.float64] = self.poses[index]
        return pose

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        return replace(self.parent.frame(index, depth=depth), map_from_camera=self.map_from_camera(index))
