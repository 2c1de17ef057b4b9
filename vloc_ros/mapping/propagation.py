"""Propagation of labels from the few pixels that have one to the pixels around them (HSCNet++, section 5)."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt

Ints = NDArray[np.int32]


def propagate(known: NDArray[np.bool_], reach: int) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Rows (h, w) and columns (h, w) of the known cell that each cell takes its label from, and whether it has one
    (h, w): a known cell lies in the square of (2 reach + 1)^2 around it.

    Of several the nearest, in the distance whose circles are these squares; known cells keep their own. `known` (h, w).
    """
    if not known.any() or reach == 0:
        sources, reached = np.indices(known.shape, dtype=np.int32), known.copy()
    else:
        distance, sources = distance_transform_cdt(~known, metric="chessboard", return_indices=True)
        reached = distance <= reach
    return sources[0], sources[1], reached
