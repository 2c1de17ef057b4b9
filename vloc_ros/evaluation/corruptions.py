"""What goes wrong with images on robots, done to good ones: to calibrate and to test a localizer's word."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.types import Frame
from vloc_ros.datasets.wrapper import DatasetWrapper
from vloc_ros.errors import ConfigError

Rgb = NDArray[np.uint8]
Degradation = Callable[[Rgb, np.random.Generator], Rgb]

CLEAN = "none"  # the name of no corruption at all
TILES = 4  # a shuffled image has so many rows and columns


def noise_block(image: Rgb, rng: np.random.Generator, ratio: float) -> Rgb:
    """Uniform noise in a block of ratio * H x ratio * W at a random place.

    The occlusion of the VS-Net paper's figure 7, there from 0.1 to 0.7. Raises ConfigError for a ratio outside 0..1.
    """
    if not 0 <= ratio <= 1:
        raise ConfigError(f"occlusion {ratio} must be in 0 .. 1 of the image's height and width")
    rows, columns = image.shape[:2]
    height, width = round(ratio * rows), round(ratio * columns)
    top, left = int(rng.integers(rows - height + 1)), int(rng.integers(columns - width + 1))
    occluded: Rgb = image.copy()
    occluded[top : top + height, left : left + width] = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return occluded


def blurred(image: Rgb, rng: np.random.Generator, share: float) -> Rgb:
    """As by motion or a lens out of focus: a Gaussian whose sigma is this share of the image's width."""
    sigma = share * image.shape[1]
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)


def exposed(image: Rgb, rng: np.random.Generator, gain: float) -> Rgb:
    """So many times the light, clipped at white; with little light the noise of the sensor shows."""
    light = (image.astype(np.float32) / 255) ** 2.2 * gain
    noisy = light + rng.normal(0, 0.002, image.shape).astype(np.float32)
    return np.round(255 * np.clip(noisy, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def covered(image: Rgb, rng: np.random.Generator) -> Rgb:
    """With a hand on the lens: dark, and the noise of the sensor."""
    return np.clip(rng.normal(6.0, 3.0, image.shape), 0, 255).astype(np.uint8)


def mirrored(image: Rgb, rng: np.random.Generator) -> Rgb:
    """Left for right: the same textures in a place that does not exist. Every pose for it is wrong."""
    return np.ascontiguousarray(image[:, ::-1])


def shuffled(image: Rgb, rng: np.random.Generator) -> Rgb:
    """Its tiles in random order: the same textures nowhere where they belong. Every pose for it is wrong."""
    rows = [np.array_split(band, TILES, axis=1) for band in np.array_split(image, TILES, axis=0)]
    height, width = min(len(band[0]) for band in rows), min(tile.shape[1] for tile in rows[0])
    tiles = [tile[:height, :width] for band in rows for tile in band]
    order = _scattered(TILES, rng).reshape(TILES, TILES)
    mixed = np.vstack([np.hstack([tiles[i] for i in band]) for band in order])
    return np.asarray(cv2.resize(mixed, image.shape[1::-1]), dtype=np.uint8)


def _scattered(side: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """A random permutation of side x side tiles in which none stays and no two move alike: these would show what a
    camera sees that was turned a little, and its pose would be right."""
    order = rng.permutation(side**2)
    while alike := _moved_alike(order, side):
        i, j = rng.integers(len(order), size=2)
        swapped = order.copy()
        swapped[[i, j]] = order[[j, i]]
        if _moved_alike(swapped, side) <= alike:
            order = swapped
    return order


def _moved_alike(order: NDArray[np.intp], side: int) -> int:
    """How many tiles stay, or move as another one does."""
    rows, columns = np.divmod(np.arange(len(order)), side)
    moves = (rows - rows[order]) * 2 * side + columns - columns[order]
    _, counts = np.unique(moves, return_counts=True)
    return int((counts - 1).sum() + np.count_nonzero(moves == 0))


class Severity(Enum):
    """What a degradation does to a robot's day."""

    COMMON = "common"  # ordinary operation: poses get worse, but should be found
    EXTREME = "extreme"  # some poses will not be found
    HOPELESS = "hopeless"  # whatever pose is found is wrong


@dataclass(frozen=True)
class Corruption:
    """A degradation by name."""

    name: str
    severity: Severity
    degrade: Degradation


def _corruptions() -> Iterator[Corruption]:
    yield Corruption(CLEAN, Severity.COMMON, lambda image, rng: image)
    for severity, ratios in {Severity.COMMON: (0.3, 0.5), Severity.EXTREME: (0.7,)}.items():
        for ratio in ratios:
            yield Corruption(f"occluded_{ratio:.0%}", severity, partial(noise_block, ratio=ratio))
    for severity, shares in {Severity.COMMON: (0.005, 0.01), Severity.EXTREME: (0.02,)}.items():
        for share in shares:
            yield Corruption(f"blurred_{share:.1%}", severity, partial(blurred, share=share))
    for severity, gains in {Severity.COMMON: (0.1, 4.0), Severity.EXTREME: (0.02, 10.0)}.items():
        for gain in gains:
            yield Corruption(f"light_x{gain:g}", severity, partial(exposed, gain=gain))
    yield Corruption("mirrored", Severity.HOPELESS, mirrored)
    yield Corruption("shuffled", Severity.HOPELESS, shuffled)


CORRUPTIONS = tuple(_corruptions())


@dataclass(frozen=True, eq=False)
class Corrupted(DatasetWrapper):
    """A data set with its images degraded; the same `seed` degrades them the same way."""

    degrade: Degradation
    seed: int = 0

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        return corrupted_frame(self.parent.frame(index, depth=depth), self.degrade, index, self.seed)


def corrupted_frame(frame: Frame, degrade: Degradation, index: int, seed: int = 0) -> Frame:
    """The frame number `index` of a data set with its image degraded, the same way for the same `seed`."""
    rgb = degrade(frame.image.rgb, np.random.default_rng((seed, index)))
    return replace(frame, image=replace(frame.image, rgb=rgb))
