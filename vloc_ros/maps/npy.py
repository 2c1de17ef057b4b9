"""One array of an npz: plain numbers, of the size that its header says, and never pickled."""

import io
import math
import reprlib
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from vloc_ros.errors import MapError

MAX_HEADER = 1000  # characters; NumPy evaluates it as a Python literal
MAX_AXES = 8
MAX_SIZE = 1 << 28  # along one axis
NUMBERS = "biuf"  # kinds of dtypes: booleans, integers, reals
READERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
# What NumPy and Python's own parser raise for headers that are none.
UNREADABLE = (ValueError, SyntaxError, TokenError, TypeError, OverflowError, EOFError, RecursionError, MemoryError)


def decode_npy(content: bytes, name: str) -> NDArray[Any]:
    """The array of a .npy file. Raises MapError naming it for what is none."""
    file = io.BytesIO(content)
    try:
        read_header = READERS[npy_format.read_magic(file)]
        shape, fortran_order, dtype = read_header(file, max_header_size=MAX_HEADER)
    except (KeyError, *UNREADABLE) as error:
        raise MapError(f"{name} is not an array: {type(error).__name__} in its header") from error
    if dtype.kind not in NUMBERS or dtype.subdtype is not None:
        raise MapError(f"{name} is of the type {dtype}, an array of numbers is expected")
    if len(shape) > MAX_AXES or not all(0 <= size <= MAX_SIZE for size in shape):
        raise MapError(f"{name} has the shape {reprlib.repr(shape)}, which no array of a map has")
    values = memoryview(content)[file.tell() :]
    if (needed := math.prod(shape) * dtype.itemsize) != len(values):
        raise MapError(f"{name} has {len(values)} bytes, its shape {shape} of {dtype} needs {needed}")
    flat: NDArray[Any] = np.frombuffer(values, dtype=dtype)
    return np.array(flat.reshape(shape, order="F" if fortran_order else "C"), order="C")
