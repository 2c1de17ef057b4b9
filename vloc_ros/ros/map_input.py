"""Where the relocalizer's maps come from: its parameters `map` and `maps`, a map server in the same process, or the
topic of another one."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from std_msgs.msg import UInt8MultiArray

from vloc_ros.errors import VlocError
from vloc_ros.localizer import preload
from vloc_ros.maps import Stored, read_stored
from vloc_ros.ros.foreign_maps import WHERE, ForeignMaps
from vloc_ros.ros.map_slot import MapSlot
from vloc_ros.ros.map_topic import MapTopic
from vloc_ros.ros.node import VlocNode, read_signed, resolve_map
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.ros.worker import NewestWins
from vloc_ros.tracking.nearby_maps import OPEN_MAPS, KnownMap, MapTurns, names_of
from vloc_ros.tracking.track import Fix

Handed: TypeAlias = tuple[Stored, str]  # a map that needs no check, and where it came from


@dataclass(frozen=True)
class OpenMaps:
    """The maps that should be open beside the one in use, by their names."""

    names: tuple[str, ...]


class MapInput:
    """Puts maps into a slot for the time of `scope`: the parameter's at once, later ones from a thread of its own, so
    that images are localized in the map before until the next one is open."""

    def __init__(
        self,
        node: VlocNode[RelocalizerParameters],
        scope: ExitStack,
        slot: MapSlot,
        hand_over: Callable[[], Handed | None] | None = None,
    ) -> None:
        """`hand_over` gives the map of a map server in the same process, None while it has none; then nothing is taken
        from the topic. Raises VlocError for the maps of the parameters."""
        # While a map is awaited. Not a daemon: Python must not end in the middle of LLVM.
        threading.Thread(target=preload, name="preload").start()
        self._node, self._slot, self._hand_over = node, slot, hand_over
        self._loader = NewestWins("map loader", self._open, partial(node.faults.add, "map loader"))
        scope.callback(self._loader.close)
        self._foreign_maps = ForeignMaps(expected=not self._has_own)
        scope.callback(self._foreign_maps.close)  # before the loader, which may be waiting for it
        uris = node.parameters.maps
        self._known = [
            known(name, uri, node.parameters.require_signature) for name, uri in zip(names_of(uris), uris, strict=True)
        ]
        self._turns = MapTurns(self._known, node.parameters.max_open_maps or OPEN_MAPS)
        self._wanted: tuple[str, ...] = ()
        if path := node.parameters.map or next(iter(uris), ""):
            slot.open(read_stored(resolve_map(path)), path, self._name_of(path))
        self._topic = MapTopic(node, scope, self._loader.put, self._log_kept_map)
        if hand_over is not None and not path and (handed := hand_over()):
            slot.open(*handed)
        if not self._has_own:
            self._topic.listen()

    def follow_parameters(self, old: RelocalizerParameters, wanted: Stored | None) -> None:
        """The parameters have changed; `wanted`: the map of the parameter `map`, if that is another one."""
        now = self._node.parameters
        if wanted is not None:
            self._loader.put((wanted, now.map))
        if self._has_own:
            self._topic.stop()
        elif old.map or old.max_map_mb != now.max_map_mb:
            self._topic.listen()
        if old.max_open_maps != now.max_open_maps:
            self._turns = MapTurns(self._known, now.max_open_maps or OPEN_MAPS)
            for localizer in filter(None, (self._slot.localizer, *self._slot.others)):
                localizer.keep_open(now.max_open_places)
        if self._hand_over is not None and old.map and not now.map and (handed := self._hand_over()):
            self.take(handed)

    def take(self, handed: Handed) -> None:
        """A map of the map server in the same process; a map of the parameters wins."""
        if not self._node.parameters.map and not self._known:
            self._loader.put(handed)

    def follow_track(self, fix: Fix | None, is_lost: bool) -> None:
        """Of several maps, have those opened that the robot may be in, and let go of others."""
        if len(self._known) < 2 or self._slot.localizer is None:
            return
        opened = self._slot.names
        wanted = self._turns.after(opened[0], fix, is_lost, opened)
        if set(wanted) != set(self._wanted):
            self._wanted = wanted
            self._loader.put(OpenMaps(wanted))

    @property
    def _has_own(self) -> bool:
        """Whether maps do not come from the topic."""
        parameters = self._node.parameters
        return bool(parameters.map or parameters.maps or self._hand_over is not None)

    def _name_of(self, uri: str) -> str:
        return next((each.name for each in self._known if each.uri == uri), "")

    def _open(self, received: Handed | OpenMaps | UInt8MultiArray) -> None:
        """In the loader's thread: check a map and use it, or say what is wrong with it and keep the one before."""
        try:
            if isinstance(received, OpenMaps):
                self._open_beside(received.names)
            elif isinstance(received, tuple):
                stored, uri = received
                self._slot.open(stored, uri, self._name_of(uri))
            else:
                self._slot.open(self._foreign_maps.read(received, self._node.parameters), WHERE)
        except VlocError as error:
            self._log_kept_map(error)

    def _open_beside(self, names: tuple[str, ...]) -> None:
        """First those go that are not wanted, for memory is bounded."""
        self._slot.keep(names)
        for each in self._known:
            if each.name in names and each.name not in self._slot.names:
                self._slot.add(read_stored(resolve_map(each.uri)), each.uri, each.name)

    def _log_kept_map(self, error: VlocError) -> None:
        kept = self._slot.map_id
        self._node.get_logger().error(f"{error}; {f'still using map {kept}' if kept else 'there is no other map'}")


def known(name: str, uri: str, public_key: str) -> KnownMap:
    """What is kept of one of several maps, which is checked by this. Raises VlocError."""
    return KnownMap.of(name, uri, read_signed(uri, public_key).landmark_map)
