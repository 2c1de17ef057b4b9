"""The places of a building whose maps are in memory."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from vloc_ros.core.method import Method
from vloc_ros.core.session import Sessions
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.inference import SessionOptions
from vloc_ros.map_localizer import Localizer, open_map
from vloc_ros.maps import StoredBuilding, StoredMap
from vloc_ros.maps.names import PLACES, network_file

OPEN_PLACES = 8  # whose maps are kept in memory


class OpenPlaces:
    """The localizers of the places that were asked last. Any thread may ask."""

    def __init__(self, building: StoredBuilding, options: SessionOptions, say: Callable[[str], None]) -> None:
        self._building, self._options, self._say = building, options, say
        self._most = OPEN_PLACES
        self._kinds: list[_Kind] = []
        self._opened: OrderedDict[str, Localizer] = OrderedDict()
        self._lock, self._opening = Lock(), Lock()  # of `_opened` and `_most`, and of `_kinds`

    def __len__(self) -> int:
        return len(self._opened)

    @property
    def first(self) -> Localizer:
        """That of the first place, as `of`."""
        return self.of(next(iter(self._building.places)))

    def of(self, name: str) -> Localizer:
        """That of a place; who asks for one that is open does not wait for others to be read. Raises as `open_map` for
        a map that cannot be read or opened."""
        if found := self._kept(name):
            return found
        with self._opening:
            opened = self._kept(name) or self._open(name, self._building.read_place(name))
            with self._lock:
                self._opened[name] = opened
                self._forget()
            return opened

    def keep(self, most: int | None) -> None:
        """Keep the maps of at most so many places in memory from now on; None: OPEN_PLACES. Raises ConfigError."""
        if most is not None and most < 0:
            raise ConfigError(f"maps of {most} places cannot be kept in memory")
        with self._lock:
            self._most = OPEN_PLACES if most is None else most
            self._forget()

    def _forget(self) -> None:
        while len(self._opened) > self._most:
            self._opened.popitem(last=False)

    def _kept(self, name: str) -> Localizer | None:
        with self._lock:
            if name in self._opened:
                self._opened.move_to_end(name)
            return self._opened.get(name)

    def _where(self, name: str) -> str:
        return str(self._building.directory / PLACES / name)

    def _open(self, name: str, stored: StoredMap) -> Localizer:
        """With the sessions of a place that has the same networks, if one was open before."""
        identity, where = _identity(stored), self._where(name)
        alike = next((kind for kind in self._kinds if kind.identity == identity), None)
        if alike is None:
            opened = open_map(stored, where, self._options, self._say)
            self._kinds.append(_Kind.of(stored, opened))
            return opened
        try:
            alike.method.check(stored.landmark_map)
        except ConfigError as error:
            raise MapError(f"{where}: {error}") from error
        return Localizer(stored.landmark_map, alike.method, alike.sessions, stored.map_id)


@dataclass(frozen=True, eq=False)
class _Kind:
    """What places with the same networks share, and nothing of the map of any of them: that may be forgotten."""

    identity: tuple[object, ...]
    method: Method
    sessions: Sessions

    @classmethod
    def of(cls, stored: StoredMap, opened: Localizer) -> "_Kind":
        return cls(_identity(stored), opened.method, opened.sessions)


def _identity(stored: StoredMap) -> tuple[object, ...]:
    """What sessions are opened of."""
    manifest = stored.landmark_map.manifest
    hashes = {
        (role, precision): stored.sha256[network_file(role, precision)]
        for role, networks in stored.networks.items()
        for precision in networks
    }
    return hashes, manifest.models, manifest.method
