"""Sorting of the network's cells by label, the input of voting."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled

F32 = NDArray[np.float32]
Real = float | np.floating[Any]


def sort_by_label(
    labels: NDArray[np.int32], confidences: F32, votes: F32, distances: F32, scales: F32, count: int, stride: Real
) -> tuple[F32, NDArray[np.int64]]:
    """Counting sort of all cells that vote, stable, so that each label's cells are contiguous and in row order.

    labels (h, w) in 0..count, confidences (h, w), votes (h, w, 2) of any length, distances and scales (h, w) in network
    pixels, `stride` of which make a cell. Cells that are not finite or have no direction or scale do not vote.

    Returns starts (count + 2,): label k owns columns starts[k] to starts[k + 1] of cells (7, M) float32, whose rows are
    column x and row y of the cell, unit direction x and y, squared confidence, distance and scale, lengths in cells.
    """
    ends = np.zeros(count + 3, dtype=np.int64)
    lengths, cells = np.empty(labels.shape, dtype=np.float32), np.empty((7, labels.size), dtype=np.float32)
    _sort(labels, confidences, votes, distances, scales, np.float32(stride), lengths, ends, cells)
    starts = ends[:-1]
    return cells[:, : starts[-1]], starts


@compiled(error_model="numpy", no_cfunc_wrapper=True)
def _sort(
    labels: NDArray[np.int32],
    confidences: F32,
    votes: F32,
    distances: F32,
    scales: F32,
    stride: Real,
    lengths: F32,
    ends: NDArray[np.int64],
    cells: F32,
) -> None:
    """Into `cells`; `ends` (count + 3,), cleared at first: label k's cells end before column ends[k + 1]. `lengths`
    (h, w) is a buffer: those of the votes, 0 of cells that do not vote."""
    height, width = labels.shape
    for i in range(height):
        for j in range(width):
            label, x, y = labels[i, j], votes[i, j, 0], votes[i, j, 1]
            length = np.sqrt(x * x + y * y)
            sound = np.isfinite(confidences[i, j]) and np.isfinite(distances[i, j]) and 0 < scales[i, j] < np.inf
            usable = label > 0 and 1e-6 < length < np.inf and sound
            lengths[i, j] = length if usable else np.float32(0.0)
            if usable:
                ends[label + 2] += 1  # so that sums say where label + 1 begins, and label below
    for k in range(2, len(ends)):
        ends[k] += ends[k - 1]
    for i in range(height):
        for j in range(width):
            length = lengths[i, j]
            if length > 0:
                label = labels[i, j]
                at = ends[label + 1]
                ends[label + 1] = at + 1
                cells[0, at], cells[1, at] = j, i
                cells[2, at], cells[3, at] = votes[i, j, 0] / length, votes[i, j, 1] / length
                cells[4, at] = confidences[i, j] * confidences[i, j]
                cells[5, at], cells[6, at] = distances[i, j] / stride, scales[i, j] / stride
