"""Pairs of rows and columns that prefer each other."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Float32 = NDArray[np.float32]


def mutual_best(similarities: Float32) -> tuple[Rows, Rows, Float32]:
    """Rows and columns (m,) of similarities (n, k) whose entry is the greatest of both, and the entries (m,); in the
    order of rows. A row or column whose greatest entry it has several times is in one pair at most."""
    rows = np.arange(len(similarities))
    best = similarities.argmax(axis=1)
    values = similarities[rows, best]
    # NumPy's argmax over columns takes six times as long as the matrix product before it; max does not.
    rows = first_of_each(best, values >= similarities.max(axis=0, initial=-np.inf)[best])
    return rows, best[rows], values[rows]


def first_of_each(columns: Rows, asked: NDArray[np.bool_]) -> Rows:
    """The rows (m,) that are `asked` (n,), in order, but of those with the same of `columns` (n,) only the first."""
    rows = np.flatnonzero(asked)
    return rows[np.sort(np.unique(columns[rows], return_index=True)[1])]
