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
    expected: Float,
    radii: Float,
    rows: Rows,
    references: Float32,
    inside: Rows,
    nearest: Rows,
    similarities: Float32,
) -> None:
    """Write the row of `references` (P, D) that is most similar to each of `descriptors` (K, D) to `nearest` (K,) and
    its cosine to `similarities` (K,), if it is higher than what stands there.

    Only `rows` (V,) are compared, each with the key points whose `pixels` (K, 2), sorted by x, are no farther than its
    radius (V,) from where it is `expected` (V, 2). `inside` (K,) is a buffer.
    """
    for i in range(len(rows)):
        x, y, radius, row = expected[i, 0], expected[i, 1], radii[i], rows[i]
        low, high = 0, len(pixels)
        while low < high:
            middle = (low + high) // 2
            if pixels[middle, 0] < x - radius:
                low = middle + 1
            else:
                high = middle
        count = 0
        while low < len(pixels) and pixels[low, 0] <= x + radius:
            across, down = pixels[low, 0] - x, pixels[low, 1] - y
            inside[count] = low
            count += across * across + down * down <= radius * radius
            low += 1
        for j in range(count):
            k = inside[j]
            similarity = np.float32(0.0)
            for e in range(references.shape[1]):
                similarity += descriptors[k, e] * references[row, e]
            if similarity > similarities[k]:
                similarities[k], nearest[k] = similarity, row
