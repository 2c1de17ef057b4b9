"""points.npz: the points of a map that can be matched by their descriptors."""

import numpy as np

from vloc_ros.core.points import DESCRIPTORS, Points
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.maps.names import POINTS_FILE
from vloc_ros.maps.npz import BYTE, COUNT, REAL, decode_known, encode_npz, rounded

KINDS = {
    "positions": REAL,
    "descriptors": DESCRIPTORS,
    "regions": COUNT,
    "places": COUNT,
    "directions": REAL,
    "distances": REAL,
    "sigmas": REAL,
    "colors": BYTE,
}
OPTIONAL = ("sigmas", "colors")  # maps of older versions have none


def encode_points(points: Points) -> bytes:
    """The arrays as a compressed npz; reals as float32 unless that moves a position by 0.1 mm."""
    short = {name: np.asarray(getattr(points, name), np.float32) for name in ("directions", "distances", "sigmas")}
    arrays = {name: getattr(points, name) for name in KINDS} | short | {"positions": rounded(points.positions)}
    if not points.colors.any():
        del arrays["colors"]
    return encode_npz(POINTS_FILE, arrays)


def decode_points(content: bytes) -> Points:
    """The points of an npz. Raises MapError for missing, misshapen, mistyped, pickled or non-finite arrays."""
    arrays = decode_known(content, KINDS, OPTIONAL)
    reals = {name: array.astype(np.float64) for name, array in arrays.items() if KINDS[name] is REAL}
    try:
        return Points(**{**arrays, **reals})  # type: ignore[arg-type]
    except ConfigError as error:
        raise MapError(str(error)) from error
