"""Large arrays in files of their own, which are filled row by row and may be larger than the memory."""

import os
import shutil
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from vloc_ros.errors import DatasetError

MemoryMap: TypeAlias = "np.memmap[Any, np.dtype[Any]]"


def memory_map(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> MemoryMap:
    """An array of zeros in a file whose bytes are on the disk: writing to a map of others kills the process when the
    disk becomes full, with no error that could be caught."""
    array: MemoryMap = np.lib.format.open_memmap(path, "w+", dtype, shape)
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def require_room(directory: Path, size: int, what: str) -> None:
    """Say how much is missing, where that is known beforehand. Raises DatasetError."""
    if size > (free := shutil.disk_usage(directory).free):
        raise DatasetError(f"{directory}: {what} take {size / 1e9:.2f} GB, {free / 1e9:.2f} GB are free")
