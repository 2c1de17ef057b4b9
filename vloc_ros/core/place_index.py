"""Which of many places an image shows, by the descriptors of its key points alone.

Each key point speaks for the places that have a point which looks like it, as far as that looks more like it than what
the next best places have (local naive Bayes nearest neighbours: McCann and Lowe, CVPR 2012). Points are looked for
among those of the same visual words only (an inverted file: Sivic and Zisserman, "Video Google", ICCV 2003), so the
time grows little with the number of places, and what is memory-mapped is read where it is needed.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.arrays import require_finite, require_indices
from vloc_ros.core.color_shares import BINS, color_support
from vloc_ros.errors import ConfigError

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

INT8_SCALE = 127  # descriptors of the index stand for this times the float
PROBES = 2  # words whose points a key point is compared with
COLOR_VOTES = 1.0  # of all places together, as much as a badly recognised image has: where descriptors say little
MIN_SIMILARITY = 0.8  # the least cosine of a key point with a point that it speaks for


@dataclass(frozen=True, eq=False)
class PlaceIndex:
    """N points of `places`, sorted by their visual word: word w has the rows starts[w] to starts[w + 1].

    words (W, D) float32; starts (W + 1,) int64; descriptors (N, D) int8, 127 times the float; point_places (N,) int32:
    which of so many places (`count`) each is of; colors (count, B) float32: the `color_shares` of each place, (0, B)
    where not all maps know colours. Raises ConfigError for arrays that do not go together.
    """

    words: Float32
    starts: NDArray[np.int64]
    descriptors: NDArray[np.int8]
    point_places: NDArray[np.int32]
    count: int
    colors: Float32 = field(default_factory=lambda: np.empty((0, BINS**2), dtype=np.float32))

    def __post_init__(self) -> None:
        words, points = len(self.words), len(self.descriptors)
        shapes = self.words.ndim, self.descriptors.ndim, self.starts.shape, self.point_places.shape
        if shapes != (2, 2, (words + 1,), (points,)) or self.words.shape[1] != self.descriptors.shape[1]:
            raise ConfigError("recognition of places: its arrays do not go together")
        if not words or self.starts[0] != 0 or self.starts[-1] != points or (np.diff(self.starts) < 0).any():
            raise ConfigError("recognition of places: its words do not divide its points")
        require_indices("recognition of places", self.point_places, self.count)
        require_finite("recognition of places: colors", self.colors, (self.count if len(self.colors) else 0, BINS**2))
        if (self.colors < 0).any():
            raise ConfigError("recognition of places: colors: shares of less than 0")

    def votes(self, descriptors: Float32) -> Float:
        """How much the key points of an image, with descriptors (K, D) of length 1, speak for each place (count,): of
        each, by how much the cosine of the most similar point of the place is above that of the third best place, or
        above MIN_SIMILARITY."""
        from vloc_ros.core.place_kernels import add_votes, largest  # Numba takes a while to load

        votes, probed = np.zeros(self.count), np.zeros((len(descriptors), min(PROBES, len(self.words))), dtype=np.intp)
        largest(nearness(descriptors, self.words), probed)
        asked = quantized(descriptors).astype(np.float32)
        least = MIN_SIMILARITY * INT8_SCALE**2
        add_votes(asked, probed, self.starts, self.descriptors, self.point_places, least, votes)
        return votes / INT8_SCALE**2

    def color_votes(self, colors: NDArray[np.uint8]) -> Float:
        """How much the colours (K, 3) of the key points speak for each place (count,) besides."""
        return COLOR_VOTES * color_support(self.colors, colors)


def quantized(descriptors: Float32) -> NDArray[np.int8]:
    """Descriptors of length 1 as the index has them."""
    return np.rint(INT8_SCALE * descriptors).astype(np.int8)


def nearness(descriptors: Float32, words: Float32) -> Float32:
    """(N, W): the larger, the nearer is each of the descriptors (N, D) to a word."""
    found: Float32 = descriptors @ words.T - (words**2).sum(axis=1) / 2
    return found


def sorted_index(words: Float32, parts: list[NDArray[np.int8]], colors: Float32 | None = None) -> PlaceIndex:
    """The index of the points' descriptors (N, D) of each place, in the order of the places, and their `colors`."""
    places = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
    assigned = np.concatenate(
        [nearness(part.astype(np.float32) / np.float32(INT8_SCALE), words).argmax(axis=1) for part in parts]
    )
    order = np.argsort(assigned, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(assigned, minlength=len(words)))]).astype(np.int64)
    index = PlaceIndex(words, starts, np.concatenate(parts)[order], places[order], len(parts))
    return index if colors is None else replace(index, colors=colors)
