"""Images of a wide lens as what maps are made from: several pinhole views, each a frame of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.subset import Subset
from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.wide_angle import PinholeView, pinhole_views


@dataclass(frozen=True)
class PinholeViews(Subset):
    """The frames `indices` of `parent`, each as often as it has views, and the number of each view in its frame; None
    of a frame that needs none. NAME@NUMBER are their names; what other cameras of a rig saw does not go with a view."""

    numbers: Sequence[int | None] = field(default_factory=tuple)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(_named(name, number) for name, number in zip(super().names, self.numbers, strict=True))

    def camera(self, index: int) -> Camera:
        view = self._view(index)
        return super().camera(index) if view is None else view.camera

    def map_from_camera(self, index: int) -> NDArray[np.float64]:
        view, pose = self._view(index), super().map_from_camera(index)
        return pose if view is None else np.asarray(pose @ view.wide_from_view)

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        frame, view = super().frame(index, depth=depth), self._view(index)
        if view is None:
            return frame
        return replace(
            frame,
            name=_named(frame.name, self.numbers[index]),
            image=replace(frame.image, rgb=view.image(frame.image.rgb), camera=view.camera),
            map_from_camera=np.asarray(frame.map_from_camera @ view.wide_from_view),
            depth=None if frame.depth is None else view.depth(frame.depth),
            others=(),
            cameras=(),
        )

    def _view(self, index: int) -> PinholeView | None:
        number = self.numbers[index]
        return None if number is None else pinhole_views(super().camera(index))[number]


def in_pinhole_views(frames: Dataset) -> Dataset:
    """The frames with those of wide lenses as views, which stand where the frame was; itself where there are none."""
    counts = [len(pinhole_views(frames.camera(index))) for index in range(len(frames))]
    if not any(counts):
        return frames
    base, own = (frames.parent, frames.indices) if type(frames) is Subset else (frames, range(len(frames)))
    numbers = [number for count in counts for number in (range(count) if count else (None,))]
    indices = np.repeat(own, np.maximum(counts, 1)).tolist()
    return PinholeViews(base, indices, numbers)


def _named(name: str, number: int | None) -> str:
    return name if number is None else f"{name}@{number}"
