"""Where the relocalizer's map comes from: its parameter `map`, or the topic of a map server."""

import threading
from contextlib import ExitStack
from functools import partial

from std_msgs.msg import UInt8MultiArray

from vloc_ros.errors import VlocError
from vloc_ros.localizer import preload
from vloc_ros.maps import StoredMap, read_map
from vloc_ros.ros.foreign_maps import WHERE, ForeignMaps
from vloc_ros.ros.map_slot import MapSlot
from vloc_ros.ros.map_topic import MapTopic
from vloc_ros.ros.node import VlocNode, resolve_map
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.ros.worker import NewestWins


class MapInput:
    """Puts maps into a slot for the time of `scope`: the parameter's at once, later ones from a thread of its own, so
    that images are localized in the map before until the next one is open."""

    def __init__(self, node: VlocNode[RelocalizerParameters], scope: ExitStack, slot: MapSlot) -> None:
        """Raises VlocError for the map of the parameter."""
        # While a map is awaited. Not a daemon: Python must not end in the middle of LLVM.
        threading.Thread(target=preload, name="preload").start()
        self._node, self._slot = node, slot
        self._loader = NewestWins("map loader", self._open, partial(node.faults.add, "map loader"))
        scope.callback(self._loader.close)
        path = node.parameters.map
        self._foreign_maps = ForeignMaps(expected=not path)
        scope.callback(self._foreign_maps.close)  # before the loader, which may be waiting for it
        if path:
            slot.open(read_map(resolve_map(path)), path)
        self._topic = MapTopic(node, scope, self._loader.put, self._log_kept_map)
        if not path:
            self._topic.listen()

    def follow_parameters(self, old: RelocalizerParameters, wanted: StoredMap | None) -> None:
        """The parameters have changed; `wanted`: the map of the parameter `map`, if that is another one."""
        now = self._node.parameters
        if wanted is not None:
            self._loader.put((wanted, now.map))
        if now.map:
            self._topic.stop()
        elif old.map or old.max_map_mb != now.max_map_mb:
            self._topic.listen()

    def _open(self, received: tuple[StoredMap, str] | UInt8MultiArray) -> None:
        """In the loader's thread: check a map and use it, or say what is wrong with it and keep the one before."""
        try:
            if isinstance(received, tuple):
                stored, where = received
            else:
                stored, where = self._foreign_maps.read(received, self._node.parameters), WHERE
            self._slot.open(stored, where)
        except VlocError as error:
            self._log_kept_map(error)

    def _log_kept_map(self, error: VlocError) -> None:
        kept = self._slot.map_id
        self._node.get_logger().error(f"{error}; {f'still using map {kept}' if kept else 'there is no other map'}")
