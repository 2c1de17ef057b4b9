"""Batches that a GPU makes for itself: the CPU draws what is to happen, the frames lie in GPU memory where they fit."""

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vloc_ros.training import augment_on_device as ops
from vloc_ros.training.augment_on_device import DeviceChanges, Packed, columns_of, staged
from vloc_ros.training.batches import Batch, BatchSettings, BatchSource, Prepared
from vloc_ros.training.frames import TrainingFrames

RESIDENT_SHARE = 0.3  # of the free memory that the frames may take
CHUNK = 256  # frames that are copied at a time
UINT16 = 0xFFFF


class DeviceBatchSource(BatchSource):
    """The batches of BatchSource, made on `device`, but for noise, which comes from another generator.

    `resident`: whether all frames stay on the device; else those of each batch go there through pinned memory.
    """

    def __init__(self, frames: TrainingFrames, settings: BatchSettings, device: torch.device, resident: bool):
        super().__init__(frames, settings)
        self._device = device
        self._generator = torch.Generator(device)
        self._resident = (_move(frames.images, device), _move(frames.cells, device)) if resident else None

    def prepare(self, number: int) -> Prepared:
        drawn = self.draw(number)
        frames, indices = self.frames, drawn.indices
        columns: list[NDArray[Any]] = [indices, *self.views(drawn)]
        columns += columns_of(drawn.changes, frames.images.shape[1:3], frames.cells.shape[1:3], self.settings.stride)
        packed = Packed.of(columns, self._device)
        raw = None if self._resident else tuple(self._staged(a[indices]) for a in (frames.images, frames.cells))
        return partial(self._finish, packed, raw, int(drawn.rng.integers(2**62)))

    def _staged(self, array: NDArray[Any]) -> Tensor:
        return staged(_tensor(array), self._device)

    def _finish(self, packed: Packed, raw: tuple[Tensor, ...] | None, seed: int) -> Batch:
        """The device's part: it is only asked here, not waited for."""
        indices, map_from_camera, warped_from_camera, places, epochs, *columns = packed.on(self._device)
        if raw is not None:
            images, cells = (values.to(self._device, non_blocking=True) for values in raw)
        else:
            assert self._resident is not None
            images, cells = (values.index_select(0, indices.long()) for values in self._resident)
        changes = DeviceChanges(*columns)
        self._generator.manual_seed(seed)
        altered = ops.alter_light(ops.warp_images(images, changes.pixels_from_warped), changes, self._generator)
        height, width = (size // self.settings.stride for size in images.shape[1:3])
        if not cells.is_floating_point():
            cells = cells.long() & UINT16
        warped = ops.warp_cells(cells, changes.labels_from_cells, height, width)
        shown, cells = ops.occlude(altered, warped, changes, self._generator)
        shown = ops.to_grayscale(shown, changes.grey)
        return Batch(shown, cells, map_from_camera, warped_from_camera, places.long(), epochs.long())


def make_source(frames: TrainingFrames, settings: BatchSettings, device: torch.device) -> BatchSource:
    """What makes batches fastest for a network on `device`."""
    if device.type == "cpu":  # there OpenCV is ten times as fast
        return BatchSource(frames, settings)
    return DeviceBatchSource(frames, settings, device, resident=fits(frames, device))


def fits(frames: TrainingFrames, device: torch.device) -> bool:
    """Whether all frames may stay in the memory of a GPU, or are on the CPU anyway."""
    if device.type != "cuda":
        return True
    size = frames.images.nbytes + frames.cells.nbytes
    return size <= RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]


def _tensor(array: NDArray[Any]) -> Tensor:
    """uint16, which torch can hardly do anything with, becomes int16 of the same bits."""
    return torch.from_numpy(np.array(array.view(np.int16) if array.dtype == np.uint16 else array))


def _move(array: NDArray[Any], device: torch.device) -> Tensor:
    """All of a memory map on the device, without ever being in this process's memory as a whole."""
    first = _tensor(array[:1])
    moved = torch.empty(array.shape, dtype=first.dtype, device=device)
    for start in range(0, len(array), CHUNK):
        moved[start : start + CHUNK] = _tensor(array[start : start + CHUNK]).to(device)
    return moved
