"""A data set whose frames are changed on their way; everything else is its parent's."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.geometry.camera import Camera


@dataclass(frozen=True, eq=False)
class DatasetWrapper(ABC):
    """The frames of `parent`, as the subclass's `frame` changes them."""

    parent: Dataset

    @property
    def names(self) -> tuple[str, ...]:
        return self.parent.names

    @property
    def has_depth(self) -> bool:
        return self.parent.has_depth

    def __len__(self) -> int:
        return len(self.parent)

    def place(self, index: int) -> str:
        return self.parent.place(index)

    def camera(self, index: int) -> Camera:
        return self.parent.camera(index)

    def map_from_camera(self, index: int) -> NDArray[np.float64]:
        return self.parent.map_from_camera(index)

    @abstractmethod
    def frame(self, index: int, *, depth: bool = False) -> Frame: ...
