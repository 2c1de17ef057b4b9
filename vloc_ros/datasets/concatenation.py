"""Several data sets one after the other, as one."""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.geometry.camera import Camera

Part = TypeVar("Part", bound=Dataset)


@dataclass(frozen=True, eq=False)
class Concatenation(Generic[Part]):
    """A Dataset of the frames of `parts`, one part after the other; poses are those that each part has."""

    parts: tuple[Part, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(name for part in self.parts for name in part.names)

    @cached_property
    def has_depth(self) -> bool:
        """Whether every part has it."""
        return all(part.has_depth for part in self.parts)

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Behind the last frame of each part."""
        return tuple(accumulate(len(part) for part in self.parts))

    def __len__(self) -> int:
        return self.ends[-1]

    def locate(self, index: int) -> tuple[Part, int]:
        """The part of a frame, and the frame's index in it."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        index %= len(self)
        which = bisect_right(self.ends, index)
        return self.parts[which], index - self.ends[which] + len(self.parts[which])

    def place(self, index: int) -> str:
        part, own = self.locate(index)
        return part.place(own)

    def camera(self, index: int) -> Camera:
        part, own = self.locate(index)
        return part.camera(own)

    def map_from_camera(self, index: int) -> NDArray[np.float64]:
        part, own = self.locate(index)
        return part.map_from_camera(own)

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        part, own = self.locate(index)
        return part.frame(own, depth=depth)
