"""Batches of augmented frames, made while the network works on the one before."""

from collections.abc import Callable, Generator, Iterable, Sized
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vloc_ros.core.prefetch import prefetch
from vloc_ros.datasets.grayscale import to_grayscale
from vloc_ros.training.augment import (
    Augmentation,
    Changes,
    alter_light,
    calibrations,
    occlude,
    warp_cells,
    warp_image,
)
from vloc_ros.training.frames import TrainingFrames


@dataclass(frozen=True)
class Batch:
    """What B images show, after augmentation.

    images (B, H, W, 3) uint8; cells (B, h, w, ...), what the method's labeller says of each output cell: int64 with 0
    for nothing, or float32 with NaN. map_from_camera (B, 4, 4) and warped_from_camera (B, 3, 3), float64: the latter
    from points in the camera's frame to homogeneous pixels of the augmented image. places (B,) int64: number of the
    place that each is of. epochs (B,) int64: how often the frame was shown before.
    """

    images: Tensor
    cells: Tensor
    map_from_camera: Tensor
    warped_from_camera: Tensor
    places: Tensor
    epochs: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The batch on another device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in vars(self).values()))


@dataclass(frozen=True)
class Drawn:
    """Of B frames: their indices, how often each was shown before, the changes, and what draws the rest."""

    indices: NDArray[np.int64]
    epochs: NDArray[np.int64]
    changes: Changes
    rng: np.random.Generator


@dataclass(frozen=True)
class BatchSettings:
    """What batches of frames are like: `stride` is pixels of an image per output cell, `batch_size` images."""

    stride: int
    batch_size: int
    augmentation: Augmentation
    seed: int


class HasBatchSize(Protocol):
    @property
    def batch_size(self) -> int: ...


class Source(Protocol):
    """Endless batches by number, of whatever a method learns from: all that a Trainer knows of them."""

    @property
    def frames(self) -> Sized: ...

    @property
    def settings(self) -> HasBatchSize: ...

    def batches(self, numbers: Iterable[int], workers: int) -> Generator[Any, None, None]:
        """The batches of these numbers, `workers` of them being prepared ahead."""
        ...

    def batch(self, number: int) -> Any:
        """One batch, with a method `to(device)`."""
        ...


Prepared: TypeAlias = Callable[[], Batch]  # what is left to do, in the thread that trains


class BatchSource:
    """Endless batches by number: the same seed and number give the same batch, wherever training resumes and whichever
    process asks. Made with NumPy and OpenCV; `device_batches` has the one for GPUs."""

    def __init__(self, frames: TrainingFrames, settings: BatchSettings):
        self.frames = frames
        self.settings = settings
        self._order = lru_cache(maxsize=2)(self._order_of_epoch)

    def batches(self, numbers: Iterable[int], workers: int) -> Generator[Batch, None, None]:
        """The batches of these numbers, `workers` of them being prepared ahead."""
        with closing(prefetch(iter(numbers), self.prepare, threads=workers, window=workers)) as prepared:
            for finish in prepared:
                yield finish()

    def batch(self, number: int) -> Batch:
        """One batch: every frame comes once an epoch, in a new order each."""
        return self.prepare(number)()

    def prepare(self, number: int) -> Prepared:
        """Everything about a batch that may happen in another thread."""
        drawn = self.draw(number)
        samples = [self._sample(index, drawn, place) for place, index in enumerate(drawn.indices.tolist())]
        images, cells = (torch.from_numpy(np.stack(parts)) for parts in zip(*samples, strict=True))
        views = (torch.from_numpy(values) for values in self.views(drawn))
        batch = Batch(images, cells, *views)
        return lambda: batch

    def draw(self, number: int) -> Drawn:
        """Which frames are in a batch, what happens to them, and what draws the rest."""
        positions = number * self.settings.batch_size + np.arange(self.settings.batch_size)
        epochs, places = np.divmod(positions, len(self.frames))
        indices = np.array([self._order(epoch)[place] for epoch, place in zip(epochs.tolist(), places, strict=True)])
        rng = np.random.default_rng((self.settings.seed, number, 1))  # three numbers: no stream of an epoch's order
        height, width = self.frames.images.shape[1:3]
        changes = self.settings.augmentation.draw(self.frames.intrinsics[indices], width, height, rng)
        return Drawn(indices, epochs, changes, rng)

    def views(self, drawn: Drawn) -> tuple[NDArray[Any], ...]:
        """What Batch has beside images and cells, in its order."""
        frames, indices = self.frames, drawn.indices
        warped_from_camera = drawn.changes.warps @ calibrations(*frames.intrinsics[indices].T)
        return frames.map_from_camera[indices], warped_from_camera, frames.places[indices], drawn.epochs

    def _order_of_epoch(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self.settings.seed, epoch)).permutation(len(self.frames))

    def _sample(self, index: int, drawn: Drawn, place: int) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        frames, changes, rng = self.frames, drawn.changes, drawn.rng
        height, width = frames.images.shape[1:3]
        warp = changes.warps[place]
        image = alter_light(warp_image(frames.images[index], warp), changes.light, place, rng)
        cells = warp_cells(frames.cells[index], warp, width, height, self.settings.stride)
        image, cells = occlude(image, cells, changes.occluders, place, rng)
        return to_grayscale(image) if changes.grey[place] else image, cells
