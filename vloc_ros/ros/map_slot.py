"""The map in use: opened and warmed up beside the one before, put in its place at once, let go of when it fails."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from vloc_ros.localizer import Localizer
from vloc_ros.maps import StoredMap


@dataclass(frozen=True, eq=False)
class _Opened:
    """A map and where it came from; `localizer`: None once its network has failed, and `failure` says why."""

    stored: StoredMap
    where: str
    localizer: Localizer | None
    failure: str = ""


class MapSlot:
    """Holds one map, or none. Any thread may call anything.

    What it holds is replaced as a whole: whoever localizes takes `localizer` once and goes on with that until the image
    is done. The lock is held for a comparison and an assignment, never while a network is opened or run.
    """

    def __init__(
        self, open_map: Callable[[StoredMap, str], Localizer], placed: Callable[[Localizer, str], None]
    ) -> None:
        """`open_map` opens the network of a map that came from somewhere, or raises VlocError; `placed` is called when
        that map has just taken the place of the one before."""
        self._open_map, self._placed = open_map, placed
        self._lock = threading.Lock()  # of the two below
        self._opened: _Opened | None = None
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

    def open(self, stored: StoredMap, where: str) -> None:
        """Open a map, warm it up, and only then put it in the place of the one before; one that is in use already stays
        as it is. Raises VlocError, and the one before stays."""
        if stored.map_id != self.map_id:
            self._place(self._warm(stored, where))

    def recover(self) -> None:
        """Open the map anew whose network has failed, if one did, unless another one comes meanwhile. Raises
        VlocError."""
        failed = self._opened
        if failed is not None and failed.failure:
            self._place(self._warm(failed.stored, failed.where), instead_of=failed)

    def fail(self, localizer: Localizer, failure: str) -> None:
        """Let go of a network that does not run any more: whatever it held on its device is freed. Nothing happens if
        another map has taken its place."""
        with self._lock:
            if self._opened is not None and self._opened.localizer is localizer:
                self._opened = replace(self._opened, localizer=None, failure=failure)

    def close(self) -> None:
        """Let go of the map and of its network, which hold most of a node's memory, for good."""
        with self._lock:
            self._opened, self._is_closed = None, True

    def _warm(self, stored: StoredMap, where: str) -> _Opened:
        localizer = self._open_map(stored, where)
        localizer.warm_up()
        return _Opened(stored, where, localizer)

    def _place(self, opened: _Opened, instead_of: _Opened | None = None) -> None:
        with self._lock:
            if self._is_closed or (instead_of is not None and self._opened is not instead_of):
                return
            self._opened = opened
        assert opened.localizer is not None
        self._placed(opened.localizer, opened.where)
