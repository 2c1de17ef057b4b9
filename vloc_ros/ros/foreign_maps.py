"""Maps that come from the map server, and that anybody may have sent: none is believed before it was tried out."""

import hashlib
import threading
from collections.abc import Sequence

from std_msgs.msg import UInt8MultiArray

from vloc_ros.errors import MapError
from vloc_ros.map_check import CheckLimits, MapCheck
from vloc_ros.maps import StoredMap, unpack_map
from vloc_ros.maps.names import MANIFEST_FILE
from vloc_ros.ros.parameters import RelocalizerParameters

WHERE = "map/data"


class ForeignMaps:
    """Reads such maps, each after a process of its own has tried it out.

    `expected`: one will come soon, so that the first process should be ready by then. `read` is called by one thread,
    `close` may be called by another one meanwhile, and ends what `read` does.
    """

    def __init__(self, expected: bool) -> None:
        self._lock = threading.Lock()  # of the two below
        self._closed = False
        self._check = MapCheck() if expected else None
        self._good = ""  # SHA-256 of the last message that passed: a map server that comes back sends the same again

    def read(self, message: UInt8MultiArray, parameters: RelocalizerParameters) -> StoredMap:
        """The map in a message. Raises MapError for what is none, or not one that the parameters allow."""
        packed, max_bytes = bytes(message.data), int(parameters.max_map_mb * 1e6)
        digest = hashlib.sha256(packed).hexdigest()
        if digest != self._good:
            limits = CheckLimits(max_bytes, seconds=parameters.map_check_timeout, threads=parameters.threads)
            self._ready().check(packed, WHERE, limits)
            self._good = digest
        stored = unpack_map(packed, WHERE, max_bytes)
        require_allowed(stored, parameters.allowed_map_ids)
        return stored

    def close(self) -> None:
        """No map is read from now on."""
        with self._lock:
            self._closed = True
            check = self._check
        if check is not None:
            check.close()

    def _ready(self) -> MapCheck:
        with self._lock:
            if self._closed:
                raise MapError(f"{WHERE}: not checked, for the node is stopping")
            if self._check is None or self._check.used:
                self._check = MapCheck()
            return self._check


def require_allowed(stored: StoredMap, allowed: Sequence[str]) -> None:
    """Raise MapError for a map whose id begins with none of the allowed ones; where there are none, every map may be
    used. An id is the SHA-256 of map.yaml, which covers all of the map."""
    sha256 = hashlib.sha256(stored.files[MANIFEST_FILE]).hexdigest()
    if allowed and not any(sha256.startswith(start) for start in allowed):
        raise MapError(f"{WHERE}: map {stored.map_id} is not among the parameter allowed_map_ids")
