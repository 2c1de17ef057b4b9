"""The map directory: `write_map` and `read_map`. NumPy, PyYAML and OpenCV's PNG encoder only; no pickle anywhere."""

from vloc_ros.maps.reader import StoredMap, pack_map, read_map, unpack_map
from vloc_ros.maps.signature import require_signature, sign_map
from vloc_ros.maps.upgrade import upgrade_map
from vloc_ros.maps.writer import require_replaceable, write_map

__all__ = [
    "StoredMap",
    "pack_map",
    "read_map",
    "require_replaceable",
    "require_signature",
    "sign_map",
    "unpack_map",
    "upgrade_map",
    "write_map",
]
