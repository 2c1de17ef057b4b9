"""What is compiled of the search for the most similar descriptor."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled

Float32 = NDArray[np.float32]
Rows = NDArray[np.intp]

CHUNK = 64  # bounds that are looked at together, which vectorises
ROUNDING = np.float32(1e-4)  # more than a bound may be too small by


# Sums may be reordered, which vectorises them.
@compiled(error_model="numpy", fastmath={"reassoc", "contract", "nsz"}, no_cfunc_wrapper=True)
def improve_nearest(
    bounds: Float32, first: int, descriptors: Float32, references: Float32, nearest: Rows, similarities: Float32
) -> None:
    """Write the row of `references` (P, D), from number `first` on, that is most similar to each of `descriptors`
    (K, D) to `nearest` (K,) and its cosine to `similarities` (K,), if it is higher than what stands there; `bounds`
    (K, B): what the cosines are at most."""
    for k in range(len(descriptors)):
        limit = similarities[k] - ROUNDING
        for start in range(0, bounds.shape[1], CHUNK):
            chunk = bounds[k, start : start + CHUNK]
            possible = np.int32(0)
            for j in range(len(chunk)):
                possible += np.int32(chunk[j] > limit)
            if possible == 0:
                continue
            for j in range(len(chunk)):
                if chunk[j] > limit:
                    row = first + start + j
                    similarity = np.float32(0.0)
                    for e in range(references.shape[1]):
                        similarity += descriptors[k, e] * references[row, e]
                    if similarity > similarities[k]:
                        similarities[k], nearest[k] = similarity, row
                        limit = similarity - ROUNDING
