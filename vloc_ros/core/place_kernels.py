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
    limits: NDArray[np.float64],
    votes: NDArray[np.float64],
) -> None:
    """Add to `votes` (places,) those of the key points `asked` (K, D): one of each, divided among the places that have
    a point of the words `probed` (K, P) which is as similar as the best one but for limits[1], and at least limits[0].
    """
    best = np.zeros(len(votes), dtype=np.int32)
    for k in range(len(asked)):
        best[:] = -1
        most = np.int32(0)
        for p in range(probed.shape[1]):
            for row in range(starts[probed[k, p]], starts[probed[k, p] + 1]):
                product = np.int32(0)
                for d in range(asked.shape[1]):
                    product += np.int32(asked[k, d]) * np.int32(descriptors[row, d])
                if product > best[places[row]]:
                    best[places[row]] = product
                    most = max(most, product)
        if most < limits[0]:
            continue
        among = 0
        for place in range(len(votes)):
            among += best[place] >= limits[0] and best[place] >= most - limits[1]
        for place in range(len(votes)):
            if best[place] >= limits[0] and best[place] >= most - limits[1]:
                votes[place] += 1.0 / among
