"""surface.npz: the coloured surface of a map's place."""

import numpy as np

from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.maps.names import SURFACE_FILE
from vloc_ros.maps.npz import BYTE, REAL, decode_known, encode_npz

KINDS = {"steps": (np.dtype(np.int16),), "colors": BYTE, "grid": REAL, "least_agreement": REAL}
NUMBERS = {"grid": 4, "least_agreement": 1}  # how many; grid: x y z of the origin, and the side of a voxel


def encode_surface(surface: PlaceSurface) -> bytes:
    """The arrays as a compressed npz, column after column: that takes two thirds of the bytes that rows take."""
    arrays = {name: np.asfortranarray(getattr(surface, name)) for name in ("steps", "colors")}
    arrays["grid"] = np.array([*surface.origin, surface.voxel_m], np.float64)
    arrays["least_agreement"] = np.array([surface.least_agreement], np.float64)
    return encode_npz(SURFACE_FILE, arrays)


def decode_surface(content: bytes) -> PlaceSurface:
    """The surface of an npz. Raises MapError for missing, misshapen, mistyped, pickled or non-finite arrays."""
    arrays = decode_known(content, KINDS)
    for name, count in NUMBERS.items():
        if arrays[name].shape != (count,):
            raise MapError(f"array {name!r} has the shape {arrays[name].shape}, expected ({count},)")
    grid, (least,) = arrays["grid"].astype(np.float64), arrays["least_agreement"]
    try:
        return PlaceSurface(arrays["steps"], arrays["colors"], grid[:3], float(grid[3]), float(least))
    except ConfigError as error:
        raise MapError(str(error)) from error
