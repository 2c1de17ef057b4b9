"""Compiled sorting of the network's cells by label, the input of both ways to vote.

The kernels of one outermost function share one file: Numba's cache notices no change in any other.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Real = float | np.floating[Any]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def sort_by_label(
    labels: NDArray[np.int32], confidences: F32, votes: F32, distances: F32, scales: F32, count: int, stride: Real
) -> Any:
    """Counting sort of all cells that vote, stable, so that each label's cells are contiguous and in row order.

    labels (h, w) in 0..count, confidences (h, w), votes (h, w, 2) of any length, distances and scales (h, w) in network
    pixels, `stride` of which make a cell. Cells that are not finite or have no direction or scale do not vote.

    Returns starts (count + 2,): label k owns columns starts[k] to starts[k + 1] of cells (7, M) float32, whose rows are
    column x and row y of the cell, unit direction x and y, squared confidence, distance and scale, lengths in cells.
    """
    height, width = labels.shape
    starts = np.zeros(count + 2, dtype=np.int64)
    lengths = np.empty((height, width), dtype=np.float32)
    for i in range(height):
        for j in range(width):
            length = np.sqrt(votes[i, j, 0] ** 2 + votes[i, j, 1] ** 2)
            sound = np.isfinite(confidences[i, j]) and np.isfinite(distances[i, j]) and 0 < scales[i, j] < np.inf
            usable = labels[i, j] > 0 and 1e-6 < length < np.inf and sound
            lengths[i, j] = length if usable else np.float32(0.0)
            if usable:
                starts[labels[i, j] + 1] += 1
    for k in range(count + 1):
        starts[k + 1] += starts[k]
    cells = np.empty((7, starts[count + 1]), dtype=np.float32)
    cursor = starts.copy()
    for i in range(height):
        for j in range(width):
            if lengths[i, j] > 0:
                at = cursor[labels[i, j]]
                cursor[labels[i, j]] = at + 1
                cells[0, at], cells[1, at] = j, i
                cells[2, at], cells[3, at] = votes[i, j, 0] / lengths[i, j], votes[i, j, 1] / lengths[i, j]
                cells[4, at] = confidences[i, j] ** 2
                cells[5, at], cells[6, at] = distances[i, j] / stride, scales[i, j] / stride
    return cells, starts
