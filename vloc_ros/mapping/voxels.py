"""A sparse voxel grid: integer keys, and an open-addressing hash table from key to row, compiled with Numba."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.errors import ConfigError

Float = NDArray[np.float64]
Ints = NDArray[np.int64]

AXIS_BITS = 21
AXIS_OFFSET = 1 << (AXIS_BITS - 1)  # cells -2^20 .. 2^20 - 1 on each axis: 20 km at 2 cm
EMPTY = -1


class VoxelTable(NamedTuple):
    """Linear-probing hash table: `keys` (C,) int64 (EMPTY where free) and `rows` (C,) int32, C a power of two."""

    keys: Ints
    rows: NDArray[np.int32]


@compiled(inline="always")
def pack(x: int, y: int, z: int) -> int:
    """One int64 key of a cell."""
    return ((x + AXIS_OFFSET) << (2 * AXIS_BITS)) | ((y + AXIS_OFFSET) << AXIS_BITS) | (z + AXIS_OFFSET)


@compiled()
def _home(key, mask):  # type: ignore[no-untyped-def]
    # Fibonacci hashing of the folded key: neighbouring cells spread over the table
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed >> np.uint64(24)) & mask


@compiled()
def slot_of(keys, key):  # type: ignore[no-untyped-def]
    """The slot that holds `key`, or the free slot where it belongs."""
    mask = keys.shape[0] - 1
    slot = _home(key, mask)
    while keys[slot] != EMPTY and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@compiled()
def find(keys, rows, key):  # type: ignore[no-untyped-def]
    """The row stored under `key`, or -1."""
    slot = slot_of(keys, key)
    return rows[slot] if keys[slot] == key else -1


@compiled()
def _fill(table_keys: Ints, table_rows: NDArray[np.int32], keys: Ints) -> None:
    for row in range(keys.shape[0]):
        slot = slot_of(table_keys, keys[row])
        table_keys[slot] = keys[row]
        table_rows[slot] = row


def build_table(keys: Ints, capacity: int = 0) -> VoxelTable:
    """The table that finds row i under keys[i], with room for at least `capacity` keys at a load of at most one half.

    keys (N,) must be distinct.
    """
    size = 1 << max(4, int(np.ceil(np.log2(2 * max(1, capacity, len(keys))))))
    table = VoxelTable(np.full(size, EMPTY, dtype=np.int64), np.zeros(size, dtype=np.int32))
    _fill(table.keys, table.rows, keys)
    return table


def cells_of(points: Float, cell_size: float) -> Ints:
    """Integer cells (N, 3) that points (N, 3) lie in. Raises ConfigError for points beyond the grid."""
    cells = np.floor(points / cell_size)
    if len(cells) and not np.abs(cells).max() < AXIS_OFFSET - 8:
        raise ConfigError(f"voxel grid: points reach {np.abs(points).max():.3g} m, too far for cells of {cell_size} m")
    return cells.astype(np.int64)


def keys_of(cells: Ints) -> Ints:
    """Keys (N,) of cells (N, 3)."""
    shifted = cells + AXIS_OFFSET
    return np.asarray((shifted[:, 0] << (2 * AXIS_BITS)) | (shifted[:, 1] << AXIS_BITS) | shifted[:, 2], dtype=np.int64)
