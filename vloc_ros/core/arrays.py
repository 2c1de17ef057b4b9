"""What is asked of every array of a value type when it is made, and arrays of row numbers."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ConfigError


def require_finite(name: str, array: NDArray[np.generic], shape: tuple[int | None, ...]) -> None:
    """Raise ConfigError, which begins with `name`, for another shape, None being any size, and for NaN or infinity."""
    expected = tuple("N" if s is None else s for s in shape)
    if array.ndim != len(shape) or any(s is not None and s != n for s, n in zip(shape, array.shape, strict=True)):
        raise ConfigError(f"{name}: shape {array.shape} instead of {expected}")
    if not np.isfinite(array).all():
        raise ConfigError(f"{name}: {int((~np.isfinite(array)).sum())} values are not finite")


def require_indices(name: str, indices: NDArray[np.int32], count: int) -> None:
    """Raise ConfigError, which begins with `name`, for indices that are not in 0 .. count - 1."""
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < count:
        raise ConfigError(f"{name}: indices are {indices.min()} to {indices.max()}, the map has 0 to {count - 1}")


def no_indices() -> NDArray[np.int32]:
    """An empty array of indices (0,)."""
    return np.empty(0, dtype=np.int32)


def evenly_spread(count: int, most: int) -> NDArray[np.int_]:
    """Rows (M,) of `count`, all of them or `most`, from the first to the last at equal distances."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
