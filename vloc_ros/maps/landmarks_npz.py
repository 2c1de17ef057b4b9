"""landmarks.npz: the arrays of a landmark map, small on disk, never pickled."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.manifest import Manifest
from vloc_ros.core.types import PER_LANDMARK, LandmarkMap
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.maps.archives import open_archive, read_member
from vloc_ros.maps.npy import decode_npy

METHOD_PREFIX = "method_"
MAX_ROUNDING_M = 1e-4
MAX_ARRAYS = 64
MAX_BYTES = 1 << 28  # of all arrays, unpacked
NPY = ".npy"
REAL = (np.dtype(np.float32), np.dtype(np.float64))
COUNT = (np.dtype(np.int32),)
ARRAYS = {name: COUNT if name in ("ids", "observations") else REAL for name in PER_LANDMARK}
VIEWS = "mapping_views"  # (V, 3, 4), without the last row of each pose
PLACES = {"places": "scenes", "view_places": "view_scenes"}  # only in a map of several, under these names
PLACE_ARRAYS = dict.fromkeys(PLACES.values(), COUNT)
KNOWN = (*ARRAYS, VIEWS, *PLACE_ARRAYS)


def encode_landmarks(landmark_map: LandmarkMap) -> bytes:
    """The arrays as a compressed npz; reals as float32 unless that moves a position by 0.1 mm. Same map, same bytes."""
    arrays: dict[str, NDArray[Any]] = {
        f"{METHOD_PREFIX}{name}": array for name, array in landmark_map.method_data.items()
    }
    for name, kinds in ARRAYS.items():
        arrays[name] = np.asarray(getattr(landmark_map, name), dtype=kinds[0])
    if landmark_map.manifest.places:
        arrays |= {name: np.asarray(getattr(landmark_map, ours), dtype=np.int32) for ours, name in PLACES.items()}
    arrays[VIEWS] = np.asarray(landmark_map.mapping_views[:, :3], dtype=np.float32)
    rounding = np.abs(arrays["positions"] - landmark_map.positions).max()
    if rounding >= MAX_ROUNDING_M:
        arrays["positions"] = np.asarray(landmark_map.positions, dtype=np.float64)
    if objects := [name for name, array in arrays.items() if array.dtype.hasobject]:
        raise MapError(f"landmarks.npz: {objects[0]} holds Python objects, which are never written")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def decode_landmarks(content: bytes, manifest: Manifest) -> LandmarkMap:
    """The landmark map of an npz. Raises MapError for missing, misshapen, mistyped, pickled or non-finite arrays."""
    arrays = _load(content)
    for name, kinds in {**ARRAYS, VIEWS: REAL, **(PLACE_ARRAYS if manifest.places else {})}.items():
        if name not in arrays:
            raise MapError(f"array {name!r} is missing")
        if arrays[name].dtype not in kinds:
            raise MapError(f"array {name!r} is {arrays[name].dtype}, expected {' or '.join(map(str, kinds))}")
        if arrays[name].ndim == 0:
            raise MapError(f"array {name!r} is a single value")
    method_data = {name.removeprefix(METHOD_PREFIX): array for name, array in arrays.items() if name not in KNOWN}
    for name in arrays:
        if name not in KNOWN and not name.startswith(METHOD_PREFIX):
            raise MapError(f"array {name!r} is unknown; data of a method begins with {METHOD_PREFIX!r}")
        if arrays[name].dtype.kind == "f" and not np.isfinite(arrays[name]).all():
            raise MapError(f"array {name!r} has {int((~np.isfinite(arrays[name])).sum())} values that are not finite")
    ids, positions, normals, extents, observations = (arrays[name] for name in ARRAYS)
    if arrays[VIEWS].ndim != 3 or arrays[VIEWS].shape[1:] != (3, 4):
        raise MapError(f"array {VIEWS!r} has the shape {arrays[VIEWS].shape}, expected (V, 3, 4)")
    if len(np.unique(ids)) != len(ids):
        raise MapError("array 'ids' names a landmark twice")
    try:
        return LandmarkMap(
            ids=ids,
            positions=positions.astype(np.float64),
            normals=normals.astype(np.float64),
            extents=extents.astype(np.float64),
            observations=observations,
            manifest=manifest,
            mapping_views=_with_last_row(arrays[VIEWS]),
            method_data=method_data,
            **{ours: arrays[name] for ours, name in PLACES.items() if name in arrays},
        )
    except ConfigError as error:
        raise MapError(str(error)) from error


def _with_last_row(views: NDArray[np.floating]) -> NDArray[np.float64]:
    last_row = np.broadcast_to(np.array([0.0, 0.0, 0.0, 1.0]), (len(views), 1, 4))
    return np.concatenate([views.astype(np.float64), last_row], axis=1)


def _load(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays by name. Sizes are checked before anything is unpacked."""
    archive = open_archive(content, "not a readable npz", MAX_ARRAYS)
    if other := [name for name in archive.namelist() if not name.endswith(NPY)]:
        raise MapError(f"member {other[0]!r} is not an array")
    if (total := sum(member.file_size for member in archive.infolist())) > MAX_BYTES:
        raise MapError(f"{total / 1e6:.0f} MB of arrays, at most {MAX_BYTES / 1e6:.0f} MB can be")
    members = {name: read_member(archive, "npz", name, MAX_BYTES) for name in archive.namelist()}
    return {name.removesuffix(NPY): decode_npy(member, name) for name, member in members.items()}
