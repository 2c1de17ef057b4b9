"""correction.npz: small corrections of a map's poses near its mapping views."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.correction_field import CorrectionField, CorrectionKernel
from vloc_ros.core.manifest import UNIT_TOLERANCE
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.geometry.transforms import from_pose_vector, pose_vector
from vloc_ros.maps.names import CORRECTION_FILE
from vloc_ros.maps.npz import COUNT, REAL, decode_known, encode_npz, rounded

SHORT = (np.dtype(np.float16), *REAL)
KINDS = {"poses": REAL, "coefficients": SHORT, "places": COUNT, "kernel": REAL}
PARAMETERS = ("distance_m", "angle_rad")  # of `kernel`, in this order


def encode_correction(field: CorrectionField) -> bytes:
    """The arrays as a compressed npz: poses as seven numbers, float32 unless that moves one by 0.1 mm, and
    coefficients in float16, which keeps a thousandth of each."""
    arrays = {
        "poses": rounded(np.stack([pose_vector(pose) for pose in field.poses])),
        "coefficients": field.coefficients.astype(np.float16),
        "places": field.places,
        "kernel": np.array([getattr(field.kernel, name) for name in PARAMETERS], np.float32),
    }
    return encode_npz(CORRECTION_FILE, arrays)


def decode_correction(content: bytes) -> CorrectionField:
    """The field of an npz. Raises MapError for missing, misshapen, mistyped, pickled or non-finite arrays."""
    arrays = decode_known(content, KINDS)
    if arrays["kernel"].shape != (len(PARAMETERS),):
        raise MapError(f"array 'kernel' has the shape {arrays['kernel'].shape}, expected ({len(PARAMETERS)},)")
    try:
        return CorrectionField(
            poses=_matrices(arrays["poses"].astype(np.float64)),
            coefficients=arrays["coefficients"].astype(np.float64),
            places=arrays["places"],
            kernel=CorrectionKernel(*arrays["kernel"].astype(np.float64).tolist()),
        )
    except ConfigError as error:
        raise MapError(str(error)) from error


def _matrices(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V, 4, 4) of poses (V, 7)."""
    if vectors.ndim != 2 or vectors.shape[1] != 7:
        raise MapError(f"array 'poses' has the shape {vectors.shape}, expected (V, 7)")
    lengths = np.linalg.norm(np.clip(vectors[:, 3:], -2, 2), axis=1)
    if (odd := np.abs(lengths - 1) > UNIT_TOLERANCE).any():
        row = int(np.argmax(odd))
        raise MapError(f"array 'poses' has the quaternion {vectors[row, 3:].tolist()} in row {row}, not of length 1")
    return np.array([from_pose_vector(vector) for vector in vectors]).reshape(-1, 4, 4)
