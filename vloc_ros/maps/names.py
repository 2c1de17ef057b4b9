"""What the files of a map are called."""

from vloc_ros.core.model_spec import PRECISIONS, ROLES, Precision, Role

MANIFEST_FILE = "map.yaml"
SIGNATURE_FILE = f"{MANIFEST_FILE}.sig"
BUILDING_FILE = "building.json"  # of a directory with the maps of many places:
PLACES = "places"  # where they are in it
REGIONS_FILE = "regions.npz"
LANDMARKS_FILE = "landmarks.npz"  # what it was before format 4
POINTS_FILE = "points.npz"
CORRECTION_FILE = "correction.npz"
SURFACE_FILE = "surface.npz"
PREVIEW_FILE = "preview.png"
MAPPING_FILE = "mapping.json"


def network_file(role: Role, precision: Precision = "float32") -> str:
    """Name of the ONNX file of a network."""
    return f"{role}.onnx" if precision == "float32" else f"{role}_{precision}.onnx"


NETWORK_FILES = tuple(network_file(role, precision) for role in ROLES for precision in PRECISIONS)
ALL_FILES = (
    MANIFEST_FILE,
    SIGNATURE_FILE,
    REGIONS_FILE,
    LANDMARKS_FILE,
    POINTS_FILE,
    CORRECTION_FILE,
    SURFACE_FILE,
    PREVIEW_FILE,
    MAPPING_FILE,
    *NETWORK_FILES,
)
