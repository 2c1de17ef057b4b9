"""surface.npz: the coloured surface of a map's place."""

import numpy as np

from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.maps.names import SURFACE_FILE
from vloc_ros.maps.npz import BYTE, REAL, decode_known, encode_npz

KINDS = {"steps": (np.dtype(np.int16),), "colors": BYTE, "grid": REAL}
GRID = 4  # numbers: x y z of the origin, and the side of a voxel


def encode_surface(surface: PlaceSurface) -> bytes:
    """The arrays as a compressed npz, column after column: that takes two thirds of the bytes that rows take."""
    arrays = {name: np.asfortranarray(getattr(surface, name)) for name in ("steps", "colors")}
    return encode_npz(SURFACE_FILE, {**arrays, "grid": np.array([*surface.origin, surface.voxel_m], np.float64)})


def decode_surface(content: bytes) -> PlaceSurface:
    """The surface of an npz. Raises MapError for missing, misshapen, mistyped, pickled or non-finite arrays."""
    arrays = decode_known(content, KINDS)
    grid = arrays["grid"].astype(np.float64)
    if grid.shape != (GRID,):
        raise MapError(f"array 'grid' has the shape {grid.shape}, expected ({GRID},)")
    try:
        return PlaceSurface(arrays["steps"], arrays["colors"], grid[:3], float(grid[3]))
    except ConfigError as error:
        raise MapError(str(error)) from error
