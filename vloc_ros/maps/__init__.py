"""The map directory: `write_map` and `read_map`. NumPy, PyYAML and OpenCV's PNG encoder only; no pickle anywhere."""

from vloc_ros.maps.building import Stored, StoredBuilding, read_stored
from vloc_ros.maps.reader import StoredMap, pack_map, read_map, unpack_map
from vloc_ros.maps.signature import require_signature, sign_map
from vloc_ros.maps.upgrade import upgrade_map
from vloc_ros.maps.writer import require_replaceable, write_map

__all__ = [
    "Stored",
    "StoredBuilding",
    "StoredMap",
    "pack_map",
    "read_map",
    "read_stored",
    "require_replaceable",
    "require_signature",
    "sign_map",
    "unpack_map",
    "upgrade_map",
    "write_map",
]
