"""Which of many descriptors is most similar to another one, without comparing all of their numbers.

Descriptors vary along few directions. How two differ along these, and how long what is left of them is, bounds their
cosine, and that is below what counts as similar for all but a few of a thousand.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Rows = NDArray[np.intp]

AXES = 23  # with the length of the rest 24 numbers: they leave one pair in five hundred of XFeat's
BLOCK = 256  # references at once: their bounds with 512 descriptors stay in a core's cache


@dataclass(frozen=True, eq=False)
class DescriptorIndex:
    """References (P, D) of length 1. `axes` (D, A): their principal axes; `short` (P, A + 1): the references along
    these, and the length of what is left of them."""

    references: Float32
    axes: Float32
    short: Float32

    @staticmethod
    def of(references: Float32) -> "DescriptorIndex":
        """Of references of length 1 at most."""
        moments = (references.T @ references).astype(np.float64)
        axes = np.linalg.eigh(moments)[1][:, ::-1][:, :AXES].astype(np.float32)
        return DescriptorIndex(references, axes, _shortened(references, axes))

    def nearest(self, descriptors: Float32, min_similarity: float) -> tuple[Rows, Float32]:
        """The row (K,) of the references that is most similar to each of `descriptors` (K, D) of length 1, and their
        cosine (K,), which is at least `min_similarity`; -1 where there is none.

        The product of short descriptors is at least that of whole ones (Cauchy and Schwarz).
        """
        from vloc_ros.core.descriptor_kernels import improve_nearest  # Numba takes a while to load

        least = np.nextafter(np.float32(min_similarity), np.float32(-2))  # what is just similar enough counts
        nearest = np.full(len(descriptors), -1, dtype=np.intp)
        similarities = np.full(len(descriptors), least, dtype=np.float32)
        descriptors, short = np.ascontiguousarray(descriptors), _shortened(descriptors, self.axes)
        for start in range(0, len(self.references), BLOCK):
            bounds = short @ self.short[start : start + BLOCK].T
            improve_nearest(bounds, start, descriptors, self.references, nearest, similarities)
        return nearest, similarities


def _shortened(descriptors: Float32, axes: Float32) -> Float32:
    along = descriptors @ axes
    squared = np.einsum("ij,ij->i", descriptors, descriptors) - np.einsum("ij,ij->i", along, along)
    return np.column_stack([along, np.sqrt(np.maximum(squared, 0))])
