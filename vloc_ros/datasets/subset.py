"""Some frames of a data set, as a data set."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.geometry.camera import Camera


@dataclass(frozen=True)
class Subset:
    """The frames `indices` of `parent`, in that order."""

    parent: Dataset
    indices: Sequence[int]

    @property
    def names(self) -> tuple[str, ...]:
        names = self.parent.names  # once: a parent may make them anew each time
        return tuple(names[i] for i in self.indices)

    @property
    def has_depth(self) -> bool:
        return self.parent.has_depth

    def __len__(self) -> int:
        return len(self.indices)

    def place(self, index: int) -> str:
        return self.parent.place(self.indices[index])

    def camera(self, index: int) -> Camera:
        return self.parent.camera(self.indices[index])

    def map_from_camera(self, index: int) -> NDArray[np.float64]:
        return self.parent.map_from_camera(self.indices[index])

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        return self.parent.frame(self.indices[index], depth=depth)


class WithoutDepth(Subset):
    """Frames whose depth, if there is any, is of no use."""

    @property
    def has_depth(self) -> bool:
        return False


def split_held_out(dataset: Dataset, share: float = 0.05, block: int = 5, most: int = 40) -> tuple[Subset, Subset]:
    """(training, held-out) parts. Held-out frames come in blocks spread evenly over the sequence, because a single
    frame between its two neighbours would measure nothing but memory."""
    count = len(dataset)
    blocks = max(1, min(most, round(share * count)) // block)
    block = min(block, max(1, count // 10))
    starts = [round((i + 0.5) * count / blocks) - block // 2 for i in range(blocks)]
    held_out = sorted({start + k for start in starts for k in range(block)})
    kept = sorted(set(range(count)) - set(held_out))
    return Subset(dataset, kept), Subset(dataset, held_out)
