"""Matches of image pairs without poses: mutual nearest neighbours that agree on how the camera moved."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.feature_spec import SIFT
from vloc_ros.core.mutual_best import mutual_best
from vloc_ros.features.cache import FeatureCache
from vloc_ros.files import atomic_file, write_errors
from vloc_ros.progress import Advance, no_advance

MIN_COSINE = 0.82  # of descriptors, as XFeat's authors have it
# Of the distances to the most similar and to the second one (Lowe, IJCV 2004), for features that need it: histograms
# are alike by themselves, and most of SIFT's wrong matches are above any limit of the cosine that keeps the right ones.
MAX_RATIO = {SIFT: 0.85}
LEAST_MATCHES = 20  # of a pair, before it is verified
KEY_POINTS = 1024  # of an image, the best ones


@dataclass(frozen=True, eq=False)
class PairMatches:
    """Matches of n `pairs` (n, 2) of images: `rows` (M, 2) of their key points, those of pair i from starts[i] to
    starts[i + 1] (n + 1,)."""

    pairs: NDArray[np.int32]
    rows: NDArray[np.uint32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[tuple[int, int, NDArray[np.uint32]]]:
        """Both images, and the rows (m, 2) of their key points."""
        for (a, b), start, end in zip(self.pairs.tolist(), self.starts[:-1], self.starts[1:], strict=True):
            yield a, b, self.rows[start:end]

    def save(self, path: Path) -> None:
        """Raises ConfigError when it cannot be written."""
        with write_errors(path), atomic_file(path) as file:
            np.savez(file, pairs=self.pairs, rows=self.rows, starts=self.starts)

    @classmethod
    def load(cls, path: Path) -> "PairMatches":
        with np.load(path) as arrays:
            return cls(arrays["pairs"], arrays["rows"], arrays["starts"])

    @classmethod
    def of(cls, pairs: list[tuple[int, int]], rows: list[NDArray[np.uint32]]) -> "PairMatches":
        starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
        stacked = np.concatenate([np.zeros((0, 2), np.uint32), *rows])
        return cls(np.array(pairs, dtype=np.int32).reshape(-1, 2), stacked, starts)


def match_images(features: FeatureCache, pairs: NDArray[np.int32], advance: Advance = no_advance) -> PairMatches:
    """Those of each pair that has LEAST_MATCHES."""
    max_ratio = MAX_RATIO.get(features.features.name)
    descriptors = [
        np.ascontiguousarray(features.key_points(index).descriptors[:KEY_POINTS]) for index in range(len(features))
    ]
    kept, rows = [], []
    for done, (a, b) in enumerate(pairs.tolist(), start=1):
        found = mutual_matches(descriptors[a], descriptors[b], MIN_COSINE, max_ratio)
        if len(found) >= LEAST_MATCHES:
            kept.append((a, b))
            rows.append(found)
        advance(done, len(pairs))
    return PairMatches.of(kept, rows)


def mutual_matches(
    descriptors: NDArray[np.float32], others: NDArray[np.float32], min_cosine: float, max_ratio: float | None = None
) -> NDArray[np.uint32]:
    """Rows (m, 2) of descriptors (N, D) and (M, D) of length 1 that are each other's most similar ones; with
    `max_ratio`, without those whose distance is more than that part of the one to the second most similar."""
    if not len(descriptors) or not len(others):
        return np.zeros((0, 2), np.uint32)
    similar = descriptors @ others.T
    rows, there, best = mutual_best(similar)
    kept = best >= min_cosine
    if max_ratio is not None:
        similar[rows, there] = -1.0
        kept &= 1 - best <= max_ratio**2 * (1 - similar[rows].max(axis=1))  # half the squares of the distances
    return np.column_stack([rows[kept], there[kept]]).astype(np.uint32)
