"""The map in use: opened and warmed up beside the one before, put in its place at once, let go of when it fails. And
others that are open beside it, where a robot has several."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from vloc_ros.localizer import Localizer
from vloc_ros.maps import Stored, StoredBuilding


@dataclass(frozen=True, eq=False)
class _Opened:
    """A map, where it came from and what it is called among several; `localizer`: None once its network has failed, and
    `failure` says why."""

    stored: Stored
    where: str
    localizer: Localizer | None
    failure: str = ""
    name: str = ""


class MapSlot:
    """Holds the map in use, or none, and others beside it. Any thread may call anything.

    What it holds is replaced as a whole: whoever localizes takes `localizer` once and goes on with that until the image
    is done. The lock is held for a comparison and an assignment, never while a network is opened or run.
    """

    def __init__(self, open_map: Callable[[Stored, str], Localizer], placed: Callable[[Localizer, str], None]) -> None:
        """`open_map` opens the network of a map that came from somewhere, or raises VlocError; `placed` is called when
        that map has just taken the place of the one before."""
        self._open_map, self._placed = open_map, placed
        self._lock = threading.Lock()  # of the three below
        self._opened: _Opened | None = None
        self._beside: tuple[_Opened, ...] = ()
        self._is_closed = False

    @property
    def localizer(self) -> Localizer | None:
        """Of the map in use."""
        opened = self._opened
        return opened.localizer if opened else None

    @property
    def map_id(self) -> str:
        """Of the map in use, "" without one."""
        localizer = self.localizer
        return localizer.map_id if localizer else ""

    @property
    def failure(self) -> str:
        """Why the network does not run any more; empty while it does."""
        opened = self._opened
        return opened.failure if opened else ""

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    @property
    def others(self) -> tuple[Localizer, ...]:
        """Of the maps beside the one in use."""
        return tuple(each.localizer for each in self._beside if each.localizer is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all that are open, that in use first; "" is one that has no name."""
        return tuple(each.name for each in (self._opened, *self._beside) if each is not None)

    def name_of(self, localizer: Localizer) -> str:
        """What its map is called; "" where it has no name, or is not open any more."""
        opened = (each for each in (self._opened, *self._beside) if each is not None)
        return next((each.name for each in opened if each.localizer is localizer), "")

    def open(self, stored: Stored, where: str, name: str = "") -> None:
        """Open a map, warm it up, and only then put it in the place of the one before; one that is in use already stays
        as it is. Raises VlocError, and the one before stays."""
        if not self._is_in_use(stored):
            self._place(self._warm(stored, where, name))

    def add(self, stored: Stored, where: str, name: str) -> None:
        """Open a map beside the one in use, unless one of this name is open. Raises VlocError."""
        if name in self.names:
            return
        opened = self._warm(stored, where, name)
        with self._lock:
            if not self._is_closed and name not in self.names:
                self._beside = (*self._beside, opened)

    def keep(self, names: Collection[str]) -> None:
        """Let go of the maps beside the one in use that are called otherwise."""
        with self._lock:
            self._beside = tuple(each for each in self._beside if each.name in names)

    def use(self, localizer: Localizer) -> None:
        """A map that is open beside the one in use changes places with it; nothing happens if it is not open."""
        with self._lock:
            found = next((each for each in self._beside if each.localizer is localizer), None)
            if found is not None:
                rest = tuple(each for each in self._beside if each is not found)
                self._opened, self._beside = found, (*rest, self._opened) if self._opened else rest

    def recover(self) -> None:
        """Open the map anew whose network has failed, if one did, unless another one comes meanwhile. Raises
        VlocError."""
        failed = self._opened
        if failed is not None and failed.failure:
            self._place(self._warm(failed.stored, failed.where, failed.name), instead_of=failed)

    def fail(self, localizer: Localizer, failure: str) -> None:
        """Let go of a network that does not run any more: whatever it held on its device is freed. Nothing happens if
        another map has taken its place."""
        with self._lock:
            if self._opened is not None and self._opened.localizer is localizer:
                self._opened = replace(self._opened, localizer=None, failure=failure)
            self._beside = tuple(each for each in self._beside if each.localizer is not localizer)

    def close(self) -> None:
        """Let go of the map and of its network, which hold most of a node's memory, for good."""
        with self._lock:
            self._opened, self._beside, self._is_closed = None, (), True

    def _is_in_use(self, stored: Stored) -> bool:
        """Of a building the same copy, too: the maps of its places are read from where it lies."""
        opened = self._opened
        if opened is None or stored.map_id != self.map_id:
            return False
        used = opened.stored
        if isinstance(stored, StoredBuilding) and isinstance(used, StoredBuilding):
            return stored.directory == used.directory
        return True

    def _warm(self, stored: Stored, where: str, name: str) -> _Opened:
        localizer = self._open_map(stored, where)
        localizer.warm_up()
        return _Opened(stored, where, localizer, name=name)

    def _place(self, opened: _Opened, instead_of: _Opened | None = None) -> None:
        with self._lock:
            if self._is_closed or (instead_of is not None and self._opened is not instead_of):
                return
            self._opened = opened
            self._beside = tuple(each for each in self._beside if not each.name or each.name != opened.name)
        assert opened.localizer is not None
        self._placed(opened.localizer, opened.where)
