"""Guided matching: the points of a map that a pose puts near a key point of similar descriptor.

A wrong pose finds many of these too, because key points are everywhere: they make a pose precise, but they never decide
whether it is believed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.points import Float, Points
from vloc_ros.errors import ConfigError

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class GuidedSettings:
    """How far from where it is expected a point is looked for, in pixels of the image that key points are found in:
    `wide_px` around a pose that was found without guidance, `window_px` around the one that comes of that. Tight
    windows beat wide ones, but a first pose may put points farther off. `min_similarity`: the least cosine of the
    descriptors. Raises ConfigError for what makes no sense."""

    wide_px: float = 8.0
    window_px: float = 4.0
    min_similarity: float = 0.7

    def __post_init__(self) -> None:
        for name in ("wide_px", "window_px"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"guided matching: {name} is {getattr(self, name)}, must be positive")
        if not -1 <= self.min_similarity <= 1:
            raise ConfigError(f"guided matching: min_similarity is {self.min_similarity}, must be in -1 .. 1")


def guided_matches(
    pixels: Float,
    descriptors: NDArray[np.float32],
    points: Points,
    visible: Rows,
    expected: Float,
    window_px: float,
    min_similarity: float,
) -> tuple[Rows, Rows, NDArray[np.float32]]:
    """Rows (M,) of key points and (M,) of points that are each other's most similar one within the window, and their
    cosines (M,), at least `min_similarity`. The key points have `pixels` (K, 2) and `descriptors` (K, D) of length 1;
    `visible` (V,): rows of the points that may be there, `expected` (V, 2): their pixels."""
    key_points, near = pairs_within(pixels, expected, window_px)
    rows = visible[near]
    similarities = np.einsum("ij,ij->i", descriptors[key_points], points.unit_descriptors[rows])
    order = np.flatnonzero(similarities >= min_similarity)
    order = order[np.argsort(-similarities[order], kind="stable")]  # the first of each is then its best one
    first_of_key_point, first_of_point = (_firsts(taken[order]) for taken in (key_points, rows))
    mutual = order[first_of_key_point & first_of_point]
    return key_points[mutual], rows[mutual], similarities[mutual]


def pairs_within(pixels: Float, others: Float, radius: float) -> tuple[Rows, Rows]:
    """All pairs of rows of `pixels` (N, 2) and `others` (M, 2) that are no farther apart than `radius`.

    `pixels` are sorted into square cells as wide as the radius: what is near lies in three cells of three rows of them,
    each of which is one range of the sorted ones.
    """
    if not len(pixels) or not len(others):
        nothing = np.empty(0, dtype=np.intp)
        return nothing, nothing
    corner = np.minimum(pixels.min(axis=0), others.min(axis=0)) - radius  # so that the first row and column are empty
    cells, around = (np.floor((each - corner) / radius).astype(np.int64) for each in (pixels, others))
    across, down = np.maximum(cells.max(axis=0), around.max(axis=0)) + 1
    numbers = cells[:, 1] * across + cells[:, 0]
    order = np.argsort(numbers, kind="stable")
    before = np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=(down + 1) * across + 2))])  # each cell
    middles = ((around[:, 1, None] + np.array([-1, 0, 1])) * across + around[:, 0, None]).ravel()
    starts = before[middles - 1]
    counts = before[middles + 2] - starts
    steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    near = order[np.repeat(starts, counts) + steps]
    other = np.repeat(np.repeat(np.arange(len(others)), 3), counts)
    offsets = pixels[near] - others[other]
    within = (offsets**2).sum(axis=1) <= radius**2
    return near[within], other[within]


def _firsts(values: Rows) -> NDArray[np.bool_]:
    """Which of the values (N,) are the first ones of their kind."""
    first = np.zeros(len(values), dtype=np.bool_)
    first[np.unique(values, return_index=True)[1]] = True
    return first
