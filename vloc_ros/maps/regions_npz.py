"""regions.npz: the regions of a map's places and what its method needs; landmarks.npz before format 4."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.correction_field import CorrectionField
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.core.points import Points
from vloc_ros.core.types import PER_LANDMARK, LandmarkMap
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.maps.names import REGIONS_FILE
from vloc_ros.maps.npz import COUNT, REAL, Arrays, decode_npz, encode_npz, require_arrays, rounded

METHOD_PREFIX = "method_"
ARRAYS = {name: COUNT if name in ("ids", "observations") else REAL for name in PER_LANDMARK}
VIEWS = "mapping_views"  # (V, 3, 4), without the last row of each pose
PLACES = ("places", "view_places")
BEFORE_4 = {"scenes": "places", "view_scenes": "view_places"}  # there only in a map of several places
KINDS = {**ARRAYS, VIEWS: REAL, **dict.fromkeys(PLACES, COUNT)}


def encode_regions(landmark_map: LandmarkMap) -> bytes:
    """The arrays as a compressed npz; reals as float32 unless that moves a position by 0.1 mm. Same map, same bytes."""
    arrays: Arrays = {f"{METHOD_PREFIX}{name}": array for name, array in landmark_map.method_data.items()}
    for name in (*ARRAYS, *PLACES):
        arrays[name] = np.asarray(getattr(landmark_map, name), dtype=KINDS[name][0])
    arrays[VIEWS] = np.asarray(landmark_map.mapping_views[:, :3], dtype=np.float32)
    arrays["positions"] = rounded(landmark_map.positions)
    return encode_npz(REGIONS_FILE, arrays)


def regions_of_landmarks(content: bytes) -> bytes:
    """regions.npz of a landmarks.npz, with the very same numbers. Raises MapError."""
    return encode_npz(REGIONS_FILE, _renamed(decode_npz(content)))


def _renamed(arrays: Arrays) -> Arrays:
    for name in PLACES:
        if name in arrays:
            raise MapError(f"array {name!r} is unknown; data of a method begins with {METHOD_PREFIX!r}")
    arrays = {BEFORE_4.get(name, name): array for name, array in arrays.items()}
    for name, rows in zip(PLACES, ("ids", VIEWS), strict=True):
        if rows in arrays and arrays[rows].ndim:
            arrays.setdefault(name, np.zeros(len(arrays[rows]), dtype=np.int32))
    return arrays


def decode_regions(
    content: bytes,
    manifest: Manifest,
    points: Points | None = None,
    correction: CorrectionField | None = None,
    surface: PlaceSurface | None = None,
    before_4: bool = False,
) -> LandmarkMap:
    """The landmark map of an npz, with these points, corrections and surface; `before_4`: of a landmarks.npz. Raises
    MapError for missing, misshapen, mistyped, pickled or non-finite arrays."""
    arrays = decode_npz(content)
    if before_4:
        for name in BEFORE_4 if len(manifest.places) > 1 else ():
            if name not in arrays:
                raise MapError(f"array {name!r} is missing")
        arrays = _renamed(arrays)
    for name in arrays:
        if name not in KINDS and not name.startswith(METHOD_PREFIX):
            raise MapError(f"array {name!r} is unknown; data of a method begins with {METHOD_PREFIX!r}")
    require_arrays(arrays, KINDS)
    if arrays[VIEWS].ndim != 3 or arrays[VIEWS].shape[1:] != (3, 4):
        raise MapError(f"array {VIEWS!r} has the shape {arrays[VIEWS].shape}, expected (V, 3, 4)")
    if len(np.unique(arrays["ids"])) != len(arrays["ids"]):
        raise MapError("array 'ids' names a landmark twice")
    for name, rows in zip(PLACES, ("ids", VIEWS), strict=True):
        if (count := len(arrays[rows])) and len(arrays[name]) != count:  # LandmarkMap takes none for zeros
            raise MapError(f"array {name!r} has {len(arrays[name])} rows, {rows!r} has {count}")
    try:
        return LandmarkMap(
            ids=arrays["ids"],
            positions=arrays["positions"].astype(np.float64),
            normals=arrays["normals"].astype(np.float64),
            extents=arrays["extents"].astype(np.float64),
            observations=arrays["observations"],
            manifest=manifest,
            mapping_views=_with_last_row(arrays[VIEWS]),
            method_data={
                name.removeprefix(METHOD_PREFIX): array for name, array in arrays.items() if name not in KINDS
            },
            places=arrays["places"],
            view_places=arrays["view_places"],
            points=points,
            correction=correction,
            surface=surface,
        )
    except ConfigError as error:
        raise MapError(str(error)) from error


def _with_last_row(views: NDArray[np.floating]) -> NDArray[np.float64]:
    last_row = np.broadcast_to(np.array([0.0, 0.0, 0.0, 1.0]), (len(views), 1, 4))
    return np.concatenate([views.astype(np.float64), last_row], axis=1)
