"""Batches of key points, altered as other views of the same place would alter them. No image is needed for that."""

import math
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vloc_ros.training.pram.recognition_frames import RecognitionFrames


@dataclass(frozen=True)
class KeyPointAugmentation:
    """How much is altered. `share` of a frame's key points that are drawn. Positions: rolled by up to `roll_deg`,
    scaled by up to the factor `scale` or its inverse, moved by up to `shift` and tilted by up to `tilt` (of half the
    longer side), each moved by `jitter_px` (one standard deviation). `noise`: one standard deviation of what is added
    to each number of a descriptor, before it has length 1 again. `hidden`: probability that what is on one side of a
    line through the image is hidden."""

    share: float = 0.25
    roll_deg: float = 5.0
    scale: float = 1.15
    shift: float = 0.1
    tilt: float = 0.05
    jitter_px: float = 1.0
    noise: float = 0.03
    hidden: float = 0.1


@dataclass(frozen=True)
class KeyPointSettings:
    """What batches are like: `batch_size` frames, altered by `augmentation`, drawn with `seed`."""

    batch_size: int
    seed: int
    augmentation: KeyPointAugmentation = KeyPointAugmentation()


@dataclass(frozen=True)
class KeyPointBatch:
    """Key points of B frames: key_points (B, K, 2), scores (B, K), descriptors (B, K, D) and labels (B, K) int64, as in
    RecognitionFrames."""

    key_points: Tensor
    scores: Tensor
    descriptors: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> "KeyPointBatch":
        """The batch on another device."""
        return KeyPointBatch(*(tensor.to(device, non_blocking=True) for tensor in vars(self).values()))


class KeyPointSource:
    """Endless batches by number: the same seed and number give the same batch. Satisfies `training.batches.Source`."""

    def __init__(self, frames: RecognitionFrames, settings: KeyPointSettings) -> None:
        self.frames = frames
        self.settings = settings
        self._order = lru_cache(maxsize=2)(self._order_of_epoch)

    def batches(self, numbers: Iterable[int], workers: int) -> Generator[KeyPointBatch, None, None]:
        """The batches of these numbers; making one takes so little time that no workers are needed."""
        yield from map(self.batch, numbers)

    def batch(self, number: int) -> KeyPointBatch:
        """One batch: an epoch has as many frames as there are, in a new order each, and as many of each place."""
        positions = number * self.settings.batch_size + np.arange(self.settings.batch_size)
        epochs, places = np.divmod(positions, len(self.frames))
        rows = np.array([self._order(epoch)[place] for epoch, place in zip(epochs.tolist(), places, strict=True)])
        frames, augmentation = self.frames[rows], self.settings.augmentation
        random = torch.Generator().manual_seed(
            int(np.random.SeedSequence((self.settings.seed, number)).generate_state(1)[0])
        )
        count = max(1, round(augmentation.share * frames.scores.shape[1]))
        drawn = torch.rand(frames.scores.shape, generator=random).topk(count, dim=1).indices
        taken = {
            name: torch.from_numpy(getattr(frames, name)) for name in ("key_points", "scores", "descriptors", "labels")
        }
        batch = KeyPointBatch(
            taken["key_points"].gather(1, drawn[..., None].expand(-1, -1, 2)),
            taken["scores"].gather(1, drawn),
            taken["descriptors"].gather(1, drawn[..., None].expand(-1, -1, frames.descriptors.shape[2])).float(),
            taken["labels"].gather(1, drawn).long(),
        )
        return altered(batch, augmentation, frames.size, random)

    def _order_of_epoch(self, epoch: int) -> NDArray[np.intp]:
        return evenly_drawn(self.frames.places, np.random.default_rng((self.settings.seed, epoch)))


def evenly_drawn(places: NDArray[np.int32], random: np.random.Generator) -> NDArray[np.intp]:
    """As many rows as there are frames, in random order: of each place as many, but for one, and none of its frames
    more than once oftener than another. All rows once where there is one place."""
    numbers = np.unique(places)
    drawn = []
    for index, place in enumerate(random.permutation(numbers)):
        rows = np.flatnonzero(places == place)
        wanted = len(places) // len(numbers) + (index < len(places) % len(numbers))
        rounds = [random.permutation(rows) for _ in range(-(-wanted // len(rows)))]
        drawn.append(np.concatenate(rounds)[:wanted])
    return random.permutation(np.concatenate(drawn))


def altered(
    batch: KeyPointBatch, augmentation: KeyPointAugmentation, size: tuple[int, int], random: torch.Generator
) -> KeyPointBatch:
    """The batch with other positions, descriptors and scores; key points that leave the image, or are hidden, have the
    score 0 and the label 0."""
    center = torch.tensor([(size[0] - 1) / 2, (size[1] - 1) / 2])
    half = max(size) / 2
    position = (batch.key_points - center) / half
    noise = torch.randn(position.shape, generator=random) * augmentation.jitter_px / half
    position = _warped(position, augmentation, random) + noise
    there = (position.abs() <= torch.tensor(size) / (2 * half)).all(-1) & ~_hidden(position, augmentation, random)
    added = torch.randn(batch.descriptors.shape, generator=random) * augmentation.noise
    return KeyPointBatch(
        position * half + center,
        torch.where(there, batch.scores, 0),
        F.normalize(batch.descriptors + added, dim=-1),
        torch.where(there, batch.labels, 0),
    )


def _uniform(count: int, random: torch.Generator) -> Tensor:
    """(count, 1) numbers in -1 .. 1."""
    return 2 * torch.rand(count, 1, generator=random) - 1


def _warped(position: Tensor, augmentation: KeyPointAugmentation, random: torch.Generator) -> Tensor:
    """Positions (B, K, 2), 1 being half the longer side, under a homography for each frame."""
    count = len(position)
    angle = math.radians(augmentation.roll_deg) * _uniform(count, random)
    scale = torch.exp(math.log(augmentation.scale) * _uniform(count, random))
    shift = [augmentation.shift * _uniform(count, random) for _ in range(2)]
    tilt = [augmentation.tilt * _uniform(count, random) for _ in range(2)]
    x, y = position.unbind(-1)
    turned = torch.cos(angle) * x - torch.sin(angle) * y, torch.sin(angle) * x + torch.cos(angle) * y
    depth = (1 + tilt[0] * x + tilt[1] * y).clamp_min(0.1)
    return torch.stack([(scale * axis + move) / depth for axis, move in zip(turned, shift, strict=True)], dim=-1)


def _hidden(position: Tensor, augmentation: KeyPointAugmentation, random: torch.Generator) -> Tensor:
    """Which of positions (B, K, 2) are hidden: what lies beyond a line, in some of the frames."""
    count = len(position)
    angle = math.pi * _uniform(count, random)
    beyond = torch.cos(angle) * position[..., 0] + torch.sin(angle) * position[..., 1]
    some = torch.rand(count, 1, generator=random) < augmentation.hidden
    return some & (beyond > 0.5 * _uniform(count, random))
