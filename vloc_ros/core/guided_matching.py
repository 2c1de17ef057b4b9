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
    found = best_in_windows(
        pixels,
        descriptors,
        points.unit_descriptors,
        visible,
        expected,
        np.full(len(visible), window_px),
        min_similarity,
    )
    key_points = np.flatnonzero(found.nearest >= 0)
    key_points = key_points[found.best[found.nearest[key_points]] == key_points]
    return key_points, visible[found.nearest[key_points]], found.similarities[key_points]


@dataclass(frozen=True, eq=False)
class BestInWindows:
    """`nearest` (K,): which of the V rows that were compared with each key point is most similar to it, and how much,
    `similarities` (K,); `best` (V,): which key point is most similar to each row; -1 for none."""

    nearest: Rows
    similarities: NDArray[np.float32]
    best: Rows


def best_in_windows(
    pixels: Float,
    descriptors: NDArray[np.float32],
    references: NDArray[np.float32],
    rows: Rows,
    expected: Float,
    radii: Float,
    min_similarity: float,
) -> BestInWindows:
    """What is most similar, with a cosine of `min_similarity` at least, of key points at `pixels` (K, 2) with
    `descriptors` (K, D) and `rows` (V,) of `references` (P, D) that are `expected` at (V, 2): only such pairs count as
    are no farther apart than the row's radius (V,). All descriptors have length 1."""
    from vloc_ros.core.window_kernels import nearest_in_windows  # Numba takes a while to load

    least = np.nextafter(np.float32(min_similarity), np.float32(-2))  # what is just similar enough counts
    found = BestInWindows(
        nearest=np.full(len(pixels), -1, dtype=np.intp),
        similarities=np.full(len(pixels), least, dtype=np.float32),
        best=np.full(len(rows), -1, dtype=np.intp),
    )
    nearest_in_windows(
        np.ascontiguousarray(pixels), np.ascontiguousarray(descriptors), np.argsort(pixels[:, 0], kind="stable"),
        expected, radii, rows, references, float(least), found.nearest, found.similarities, found.best,
    )  # fmt: skip
    return found
