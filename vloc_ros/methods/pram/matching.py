"""Which point of a map each key point of an image shows, by their descriptors alone."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.descriptor_index import DescriptorIndex
from vloc_ros.core.mutual_best import first_of_each

Float32 = NDArray[np.float32]
Rows = NDArray[np.intp]

BLOCK = 256  # points at once: the similarities of 1024 key points with them stay in a core's cache


def mutual_nearest(descriptors: Float32, references: Float32, min_similarity: float) -> tuple[Rows, Rows, Float32]:
    """Rows (M,) of `descriptors` (K, D) and (M,) of `references` (P, D) that are each other's most similar one, and
    their cosines (M,), at least `min_similarity`. All have length 1; the pairs are in the order of `descriptors`."""
    nearest, similarities = nearest_of(descriptors, references)
    return _mutual(descriptors, references, np.where(similarities >= min_similarity, nearest, -1), similarities)


def mutual_nearest_indexed(
    descriptors: Float32, index: DescriptorIndex, min_similarity: float
) -> tuple[Rows, Rows, Float32]:
    """The same with the references of an index, in less time for many references that are asked again and again."""
    return _mutual(descriptors, index.references, *index.nearest(descriptors, min_similarity))


def _mutual(
    descriptors: Float32, references: Float32, nearest: Rows, similarities: Float32
) -> tuple[Rows, Rows, Float32]:
    """Of the `nearest` references (K,), -1 for none, those whose most similar descriptor is the one that found them:
    only they are asked for the way back."""
    rows = np.flatnonzero(nearest >= 0)
    back = (references[nearest[rows]] @ descriptors.T).argmax(axis=1) if len(rows) else rows
    rows = rows[back == rows]
    return rows, nearest[rows], similarities[rows]


def nearest_of(descriptors: Float32, references: Float32) -> tuple[Rows, Float32]:
    """The row of `references` that is most similar to each of `descriptors`, and how similar."""
    rows = np.arange(len(descriptors))
    nearest, best = np.zeros(len(descriptors), dtype=np.intp), np.full(len(descriptors), -np.inf, dtype=np.float32)
    for start in range(0, len(references), BLOCK):
        similarities = descriptors @ references[start : start + BLOCK].T
        within = similarities.argmax(axis=1)
        similar = similarities[rows, within]
        better = similar > best
        nearest[better], best[better] = start + within[better], similar[better]
    return nearest, best


def mutual_nearest_within(
    descriptors: Float32,
    references: Float32,
    groups: Iterable[tuple[Rows, Rows]],
    min_similarity: float,
) -> tuple[Rows, Rows, Float32]:
    """As `mutual_nearest`, but only within groups: rows of `descriptors` and those rows of `references` that they may
    be. A reference is in one group at most, a descriptor may be in several."""
    nearest, best = np.zeros(len(descriptors), dtype=np.intp), np.full(len(descriptors), -np.inf, dtype=np.float32)
    most = np.zeros(len(references), dtype=np.float32)  # of each reference's similarities
    for asked, among in groups:
        similarities = descriptors[asked] @ references[among].T
        most[among] = similarities.max(axis=0, initial=-np.inf)
        within = similarities.argmax(axis=1)
        similar = similarities[np.arange(len(asked)), within]
        better = similar > best[asked]
        nearest[asked[better]], best[asked[better]] = among[within[better]], similar[better]
    rows = first_of_each(nearest, (best >= min_similarity) & (best >= most[nearest]))
    return rows, nearest[rows], best[rows]
