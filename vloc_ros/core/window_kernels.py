"""What is compiled of matching points near where they are expected."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Rows = NDArray[np.intp]


# Sums may be reordered, which vectorises them; all of `fastmath` would rely on there being no NaN.
@compiled(error_model="numpy", fastmath={"reassoc", "contract", "nsz"}, no_cfunc_wrapper=True)
def nearest_in_windows(
    pixels: Float,
    descriptors: Float32,
    order: Rows,
    expected: Float,
    radii: Float,
    rows: Rows,
    references: Float32,
    least: float,
    nearest: Rows,
    similarities: Float32,
    best: Rows,
) -> None:
    """Write which of `rows` (V,) of the references (P, D) is most similar to each of `descriptors` (K, D) to `nearest`
    (K,) and its cosine to `similarities` (K,), if it is higher than what stands there; and which of the descriptors is
    most similar to each of the rows to `best` (V,), if its cosine is higher than `least`.

    Each of the rows is compared with those key points whose `pixels` (K, 2) are no farther than its radius (V,) from
    where it is `expected` (V, 2). `order` (K,): rows of the key points, sorted by x.
    """
    for i in range(len(rows)):
        x, y, radius, row = expected[i, 0], expected[i, 1], radii[i], rows[i]
        low, high = 0, len(order)
        while low < high:
            middle = (low + high) // 2
            if pixels[order[middle], 0] < x - radius:
                low = middle + 1
            else:
                high = middle
        highest = np.float32(least)
        while low < len(order):
            k = order[low]
            across, down = pixels[k, 0] - x, pixels[k, 1] - y
            if not across <= radius:
                break
            low += 1
            if across * across + down * down <= radius * radius:
                similarity = np.float32(0.0)
                for e in range(references.shape[1]):
                    similarity += descriptors[k, e] * references[row, e]
                if similarity > highest:
                    highest, best[i] = similarity, k
                if similarity > similarities[k]:
                    similarities[k], nearest[k] = similarity, i
