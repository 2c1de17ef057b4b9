"""Batches of augmented frames, made by threads while the network works on the one before."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vloc_ros.core.transforms import apply, invert
from vloc_ros.training.augment import Augmentation, warp_image, warp_labels, warp_points
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


class BatchSource:
    """Endless batches, by iteration number: the same seed and number give the same batch, wherever training resumes."""

    def __init__(
        self,
        frames: TrainingFrames,
        landmarks: NDArray[np.float64],
        stride: int,
        batch_size: int,
        augmentation: Augmentation,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
    ):
        self._frames = frames
        self._landmarks = landmarks
        self._stride = stride
        self._batch_size = batch_size
        self._augmentation = augmentation
        self._seed = seed
        self._rank = rank
        self._ranks = ranks

    @property
    def iterations_per_epoch(self) -> int:
        return max(1, len(self._frames) // (self._batch_size * self._ranks))

    def batches(self, start: int, workers: int) -> Generator[Batch, None, None]:
        """Batches from iteration `start` on, `workers` of them being prepared ahead."""
        with ThreadPoolExecutor(max_workers=workers) as pool:
            number = start + workers
            ahead = [pool.submit(self.batch, n) for n in range(start, number)]
            while True:
                yield ahead.pop(0).result()
                ahead.append(pool.submit(self.batch, number))
                number += 1

    def batch(self, number: int) -> Batch:
        """This process's part of one iteration: every frame comes once an epoch, in a new order each."""
        first = (number * self._ranks + self._rank) * self._batch_size
        samples = [self._sample(first + i) for i in range(self._batch_size)]
        images, labels, pixels = zip(*samples, strict=True)
        return Batch(
            torch.from_numpy(np.stack(images)),
            torch.from_numpy(np.stack(labels)),
            torch.from_numpy(np.stack(pixels).astype(np.float32)),
        )

    def _sample(self, position: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float64]]:
        epoch, place = divmod(position, len(self._frames))
        index = int(np.random.default_rng((self._seed, epoch)).permutation(len(self._frames))[place])
        rng = np.random.default_rng((self._seed, epoch, place))
        frames, augmentation = self._frames, self._augmentation
        height, width = frames.images.shape[1:3]
        warp = augmentation.draw_warp(frames.intrinsics[index], width, height, rng)
        image = augmentation.alter_light(warp_image(frames.images[index], warp), rng)
        labels = warp_labels(frames.labels[index], warp, width, height, self._stride)
        image, labels = augmentation.occlude(image, labels, rng)
        camera_points = apply(invert(frames.map_from_camera[index]), self._landmarks)
        pixels = frames.camera(index).project(camera_points)[0]
        return image, labels, warp_points(pixels, warp)
