"""What is compiled of the recognition of places."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled

Float32 = NDArray[np.float32]


# Sums may be reordered, which vectorises them; of whole numbers below 2^24 they are exact all the same.
@compiled(error_model="numpy", fastmath={"reassoc", "contract", "nsz"}, no_cfunc_wrapper=True)
def add_votes(
    asked: Float32,
    probed: NDArray[np.intp],
    starts: NDArray[np.int64],
    descriptors: NDArray[np.int8],
    places: NDArray[np.int32],
    least: float,
    votes: NDArray[np.float64],
) -> None:
    """Add to `votes` (places,), for each of the key points `asked` (K, D), by how much the product with the most
    similar point of a place is above that of the third best place, or above `least`; of the points of the words
    `probed` (K, P) alone."""
    best = np.zeros(len(votes), dtype=np.float32)
    floor = np.float32(least)
    for k in range(len(asked)):
        for place in range(len(votes)):
            best[place] = floor
        for p in range(probed.shape[1]):
            for row in range(starts[probed[k, p]], starts[probed[k, p] + 1]):
                product = np.float32(0.0)
                for d in range(asked.shape[1]):
                    product += asked[k, d] * np.float32(descriptors[row, d])
                if product > best[places[row]]:
                    best[places[row]] = product
        first, second, third = floor, floor, floor
        for place in range(len(votes)):
            if best[place] > first:
                first, second, third = best[place], first, second
            elif best[place] > second:
                second, third = best[place], second
            elif best[place] > third:
                third = best[place]
        for place in range(len(votes)):
            if best[place] > third:
                votes[place] += best[place] - third


@compiled(error_model="numpy", no_cfunc_wrapper=True)
def largest(values: Float32, found: NDArray[np.intp]) -> None:
    """Write the columns of the P largest of each row of `values` (K, W) to `found` (K, P), the largest first."""
    count = found.shape[1]
    for k in range(len(values)):
        found[k, :] = 0
        filled = 0
        for w in range(values.shape[1]):
            if filled == count and values[k, w] <= values[k, found[k, count - 1]]:
                continue
            at = min(filled, count - 1)
            while at > 0 and values[k, found[k, at - 1]] < values[k, w]:
                found[k, at] = found[k, at - 1]
                at -= 1
            found[k, at] = w
            filled = min(filled + 1, count)
