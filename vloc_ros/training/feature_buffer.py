"""What a frozen encoder says of augmented training images, computed once and kept on disk, and batches of its cells.

Cells of thousands of images, shuffled, are a far better step of a small head than the neighbouring cells of a few
images; and the encoder, which costs most, runs once for each image instead of in every step.
"""

import math
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vloc_ros.errors import DatasetError
from vloc_ros.files import atomic_path, remove_partial, write_errors
from vloc_ros.progress import Advance, no_advance
from vloc_ros.training.batches import Batch, BatchSettings, BatchSource, Prepared
from vloc_ros.training.frames import TrainingFrames
from vloc_ros.training.memory_maps import memory_map, require_room

CELLS = 256  # for each image of a batch: a small head learns more from many small steps than from few large ones
MAX_BYTES = 1_500_000_000  # of a buffer: it should stay in memory while it is read in random order
VERSIONS = 2  # of each frame, differently augmented, where there is room
ENCODED_BATCH = 4  # images that are encoded together
PREPARED_BATCHES = 2
FEATURES, LABELS, CAMERAS = BUFFER_FILES = "features.npy", "labels.npy", "cameras.npz"


@dataclass(frozen=True, eq=False)
class FrozenEncoder:
    """`network`, called `name`, makes features (B, `channels`, h, w) of uint8 images (B, H, W, 3). It does not learn;
    what learns needs of a cell the features of `border` cells around it too."""

    name: str
    network: nn.Module
    channels: int
    border: int


@dataclass(frozen=True, eq=False)
class FeatureBuffer:
    """N augmented images: features (N, h + 2 b, w + 2 b, C) float16 with a border of b cells of zeros, so that every
    cell has its neighbours; labels (N, h, w) uint16, 0 for none; map_from_camera (N, 4, 4), warped_from_camera (N, 3,
    3) and places (N,) as in Batch."""

    features: NDArray[np.float16]
    labels: NDArray[np.uint16]
    map_from_camera: NDArray[np.float64]
    warped_from_camera: NDArray[np.float64]
    places: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def border(self) -> int:
        """b"""
        return int(self.features.shape[1] - self.labels.shape[1]) // 2


def buffer_size(frames: TrainingFrames, stride: int, encoder: FrozenEncoder) -> int:
    """How many images a buffer holds: VERSIONS of each frame, or as many as there is room for in MAX_BYTES."""
    height, width = (size // stride + 2 * encoder.border for size in frames.images.shape[1:3])
    room = MAX_BYTES // (height * width * encoder.channels * np.dtype(np.float16).itemsize)
    return int(max(1, min(VERSIONS * len(frames), room)))


def build_buffer(
    source: BatchSource,
    encoder: FrozenEncoder,
    count: int,
    directory: Path,
    device: torch.device,
    advance: Advance = no_advance,
) -> FeatureBuffer:
    """Encode so many images of the source on `device`, and write what comes of it, all at once or not at all.

    Raises DatasetError when there is no room; then nothing is left.
    """
    remove_partial(directory.parent)
    with write_errors(directory, DatasetError), atomic_path(directory) as partial:
        partial.mkdir()
        _fill(partial, source, encoder, count, device, advance)
    return open_buffer(directory)


@torch.no_grad()
def _fill(
    directory: Path, source: BatchSource, encoder: FrozenEncoder, count: int, device: torch.device, advance: Advance
) -> None:
    network, border = encoder.network.to(device), encoder.border
    height, width = (size // source.settings.stride for size in source.frames.images.shape[1:3])
    padded = count, height + 2 * border, width + 2 * border, encoder.channels
    require_room(directory, 2 * math.prod(padded) + 2 * count * height * width, "the buffer of features")
    features = memory_map(directory / FEATURES, np.dtype(np.float16), padded)
    labels = memory_map(directory / LABELS, np.dtype(np.uint16), (count, height, width))
    cameras: list[tuple[NDArray[Any], ...]] = []
    size = source.settings.batch_size
    numbers = range(math.ceil(count / size))
    with closing(source.batches(numbers, PREPARED_BATCHES)) as batches:
        for number, batch in zip(numbers, batches, strict=True):
            place = slice(number * size, min(count, (number + 1) * size))
            kept = place.stop - place.start
            encoded = network(batch.images[:kept].to(device)).permute(0, 2, 3, 1)
            features[place, border : border + height, border : border + width] = encoded.half().cpu().numpy()
            labels[place] = batch.cells[:kept].cpu().numpy()
            cameras.append(tuple(each[:kept].cpu().numpy() for each in _cameras_of(batch)))
            advance(place.stop, count)
    map_from_camera, warped_from_camera, places = (np.concatenate(each) for each in zip(*cameras, strict=True))
    np.savez(directory / CAMERAS, map_from_camera=map_from_camera, warped_from_camera=warped_from_camera, places=places)
    for array in (features, labels):
        array.flush()


def _cameras_of(batch: Batch) -> tuple[torch.Tensor, ...]:
    return batch.map_from_camera, batch.warped_from_camera, batch.places


def open_buffer(directory: Path) -> FeatureBuffer:
    """Open what `build_buffer` wrote. Raises DatasetError if it is not all there."""
    try:
        with np.load(directory / CAMERAS) as cameras:
            return FeatureBuffer(
                features=np.load(directory / FEATURES, mmap_mode="r"),
                labels=np.load(directory / LABELS, mmap_mode="r"),
                map_from_camera=cameras["map_from_camera"],
                warped_from_camera=cameras["warped_from_camera"],
                places=cameras["places"],
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DatasetError(f"{directory}: features are missing ({error}); --fresh makes them anew") from error


class CellSource(BatchSource):
    """Endless batches of labelled cells of a buffer, drawn from all of its images alike.

    A Batch of `batch_size` images is one of N = CELLS * batch_size cells here: images (1, N, 1, across^2 * C) float16
    are the features of their neighbourhoods, cells (1, N, 1) their labels. Each has a camera of its own:
    map_from_camera (N, 4, 4), and warped_from_camera (N, 3, 3) to pixels from the centre of the cell.
    """

    def __init__(self, frames: TrainingFrames, buffer: FeatureBuffer, settings: BatchSettings):
        super().__init__(frames, settings)
        self._buffer = buffer
        self._features = np.asarray(buffer.features).reshape(-1, buffer.features.shape[-1])
        self._labels = np.asarray(buffer.labels).reshape(-1)
        self._labelled = np.flatnonzero(self._labels).astype(np.uint32)
        if not len(self._labelled):
            raise DatasetError("training: no cell of any image shows a landmark")

    def prepare(self, number: int) -> Prepared:
        rng = np.random.default_rng((self.settings.seed, number, 2))  # three numbers, as in `draw`, and another third
        cells = self._labelled[rng.integers(len(self._labelled), size=CELLS * self.settings.batch_size)]
        batch = self.batch_of(cells.astype(np.int64))
        return lambda: batch

    def batch_of(self, cells: NDArray[np.int64]) -> Batch:
        """Of cells (N,), counted through all images row by row."""
        buffer = self._buffer
        images, rows, columns = np.unravel_index(cells, buffer.labels.shape)
        tensors = (
            self._neighbourhoods(images, rows, columns).reshape(1, len(cells), 1, -1),
            self._labels[cells].astype(np.int64).reshape(1, -1, 1),
            buffer.map_from_camera[images],
            _centred(buffer.warped_from_camera[images], rows, columns, self.settings.stride),
            buffer.places[images],
            np.zeros(len(cells), dtype=np.int64),
        )
        return Batch(*(torch.from_numpy(values) for values in tensors))

    def _neighbourhoods(self, images: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.float16]:
        """(N, across, across, C)"""
        _, height, width, _ = self._buffer.features.shape
        across = np.arange(2 * self._buffer.border + 1)
        first = (images * height + rows) * width + columns
        chosen: NDArray[np.float16] = self._features[first[:, None, None] + across[:, None] * width + across]
        return chosen


def _centred(
    warped_from_camera: NDArray[np.float64], rows: NDArray[Any], columns: NDArray[Any], stride: int
) -> NDArray[np.float64]:
    """Matrices (N, 3, 3) to pixels from the centres of cells."""
    centred: NDArray[np.float64] = warped_from_camera.copy()
    for axis, cells in enumerate((columns, rows)):
        center = (cells + 0.5) * stride - 0.5
        centred[:, axis] -= center[:, None] * warped_from_camera[:, 2]
    return centred
