"""What is compiled of the recognition of places."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled


@compiled(no_cfunc_wrapper=True)
def add_votes(
    asked: NDArray[np.int8],
    probed: NDArray[np.intp],
    starts: NDArray[np.int64],
    descriptors: NDArray[np.int8],
    places: NDArray[np.int32],
    least: int,
    votes: NDArray[np.float64],
) -> None:
    """Add to `votes` (places,), for each of the key points `asked` (K, D), by how much the product with the most
    similar point of a place is above that of the third best place, or above `least`; of the points of the words
    `probed` (K, P) alone."""
    best = np.zeros(len(votes), dtype=np.int32)
    for k in range(len(asked)):
        best[:] = np.int32(least)
        for p in range(probed.shape[1]):
            for row in range(starts[probed[k, p]], starts[probed[k, p] + 1]):
                product = np.int32(0)
                for d in range(asked.shape[1]):
                    product += np.int32(asked[k, d]) * np.int32(descriptors[row, d])
                if product > best[places[row]]:
                    best[places[row]] = product
        first, second, third = np.int32(least), np.int32(least), np.int32(least)
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
