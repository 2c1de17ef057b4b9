"""NumPy archives of plain numbers: small on disk, never pickled, and of no more than a map may have."""

import io
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import MapError
from vloc_ros.maps.archives import open_archive, read_member
from vloc_ros.maps.npy import decode_npy

MAX_ARRAYS = 64
MAX_BYTES = 1 << 28  # of all arrays, unpacked
NPY = ".npy"
MAX_ROUNDING_M = 1e-4

Arrays: TypeAlias = dict[str, NDArray[Any]]
Kinds: TypeAlias = tuple[np.dtype[Any], ...]

REAL: Kinds = (np.dtype(np.float32), np.dtype(np.float64))
COUNT: Kinds = (np.dtype(np.int32),)
BYTE: Kinds = (np.dtype(np.uint8),)


def encode_npz(name: str, arrays: Arrays) -> bytes:
    """The file `name`, compressed. Same arrays, same bytes. Raises MapError for arrays of Python objects."""
    if objects := [key for key, array in arrays.items() if array.dtype.hasobject]:
        raise MapError(f"{name}: {objects[0]} holds Python objects, which are never written")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def decode_npz(content: bytes) -> Arrays:
    """The arrays by name. Sizes are checked before anything is unpacked. Raises MapError."""
    archive = open_archive(content, "not a readable npz", MAX_ARRAYS)
    if other := [name for name in archive.namelist() if not name.endswith(NPY)]:
        raise MapError(f"member {other[0]!r} is not an array")
    if (total := sum(member.file_size for member in archive.infolist())) > MAX_BYTES:
        raise MapError(f"{total / 1e6:.0f} MB of arrays, at most {MAX_BYTES / 1e6:.0f} MB can be")
    members = {name: read_member(archive, "npz", name, MAX_BYTES) for name in archive.namelist()}
    return {name.removesuffix(NPY): decode_npy(member, name) for name, member in members.items()}


def decode_known(content: bytes, kinds: Mapping[str, Kinds], optional: Collection[str] = ()) -> Arrays:
    """The arrays of an npz that has these, but for those that are optional, and no others, as `require_arrays` wants
    them. Raises MapError."""
    arrays = decode_npz(content)
    if unknown := [name for name in arrays if name not in kinds]:
        raise MapError(f"array {unknown[0]!r} is unknown, known are {', '.join(kinds)}")
    require_arrays(arrays, {name: kind for name, kind in kinds.items() if name in arrays or name not in optional})
    return arrays


def require_arrays(arrays: Arrays, kinds: Mapping[str, Kinds]) -> None:
    """Raise MapError where an array is missing, of another type, a single value, or has values that are not finite."""
    for name, expected in kinds.items():
        if name not in arrays:
            raise MapError(f"array {name!r} is missing")
        if arrays[name].dtype not in expected:
            raise MapError(f"array {name!r} is {arrays[name].dtype}, expected {' or '.join(map(str, expected))}")
        if arrays[name].ndim == 0:
            raise MapError(f"array {name!r} is a single value")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise MapError(f"array {name!r} has {int((~np.isfinite(array)).sum())} values that are not finite")


def rounded(positions: NDArray[np.float64]) -> NDArray[Any]:
    """As float32, unless that moves a position by 0.1 mm."""
    short = np.asarray(positions, dtype=np.float32)
    return short if np.abs(short - positions).max() < MAX_ROUNDING_M else positions
