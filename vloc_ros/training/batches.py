"""Batches of augmented frames, made while the network works on the one before."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vloc_ros.core.transforms import apply, invert
from vloc_ros.training.augment import Augmentation, Changes, alter_light, occlude, warp_image, warp_labels, warp_points
from vloc_ros.training.frames import TrainingFrames


@dataclass(frozen=True)
class Batch:
    """images (B, H, W, 3) uint8; labels (B, h, w) int64, 0 none; landmark_pixels (B, K, 2) float32, where each landmark
    of the map is in each image, in network pixels, NaN behind the camera."""

    images: Tensor
    labels: Tensor
    landmark_pixels: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The batch on another device."""
        return Batch(*(t.to(device, non_blocking=True) for t in (self.images, self.labels, self.landmark_pixels)))


Prepared: TypeAlias = Callable[[], Batch]  # what is left to do, in the thread that trains


class BatchSource:
    """Endless batches by number: the same seed and number give the same batch, wherever training resumes and whichever
    process asks. Made with NumPy and OpenCV; `device_batches` has the one for GPUs."""

    def __init__(
        self,
        frames: TrainingFrames,
        landmarks: NDArray[np.float64],
        stride: int,
        batch_size: int,
        augmentation: Augmentation,
        seed: int,
    ):
        self.frames = frames
        self.landmarks = landmarks
        self.stride = stride
        self.batch_size = batch_size
        self._augmentation = augmentation
        self._seed = seed
        self._order = lru_cache(maxsize=2)(self._order_of_epoch)

    def batches(self, numbers: Iterable[int], workers: int) -> Generator[Batch, None, None]:
        """The batches of these numbers, `workers` of them being prepared ahead."""
        remaining = iter(numbers)
        with ThreadPoolExecutor(max_workers=workers) as pool:
            ahead = deque(pool.submit(self.prepare, number) for number in islice(remaining, workers))
            while ahead:
                yield ahead.popleft().result()()
                ahead.extend(pool.submit(self.prepare, number) for number in islice(remaining, 1))

    def batch(self, number: int) -> Batch:
        """One batch: every frame comes once an epoch, in a new order each."""
        return self.prepare(number)()

    def prepare(self, number: int) -> Prepared:
        """Everything about a batch that may happen in another thread."""
        indices, changes, rng = self.draw(number)
        samples = [self._sample(index, changes, place, rng) for place, index in enumerate(indices.tolist())]
        images, labels, pixels = (np.stack(parts) for parts in zip(*samples, strict=True))
        tensors = (torch.from_numpy(values) for values in (images, labels, pixels.astype(np.float32)))
        batch = Batch(*tensors)
        return lambda: batch

    def draw(self, number: int) -> tuple[NDArray[np.int64], Changes, np.random.Generator]:
        """Which frames are in a batch, what happens to them, and what draws the rest."""
        positions = number * self.batch_size + np.arange(self.batch_size)
        epochs, places = np.divmod(positions, len(self.frames))
        indices = np.array([self._order(epoch)[place] for epoch, place in zip(epochs.tolist(), places, strict=True)])
        rng = np.random.default_rng((self._seed, number, 1))  # three numbers: no stream of an epoch's order
        height, width = self.frames.images.shape[1:3]
        return indices, self._augmentation.draw(self.frames.intrinsics[indices], width, height, rng), rng

    def _order_of_epoch(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self._seed, epoch)).permutation(len(self.frames))

    def _sample(
        self, index: int, changes: Changes, place: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float64]]:
        frames, warp = self.frames, changes.warps[place]
        height, width = frames.images.shape[1:3]
        image = alter_light(warp_image(frames.images[index], warp), changes.light, place, rng)
        labels = warp_labels(frames.labels[index], warp, width, height, self.stride)
        image, labels = occlude(image, labels, changes.occluders, place, rng)
        camera_points = apply(invert(frames.map_from_camera[index]), self.landmarks)
        pixels = frames.camera(index).project(camera_points)[0]
        return image, labels, warp_points(pixels, warp)
