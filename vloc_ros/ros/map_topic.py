"""The topic `map/data`, whose messages may be of any size, whoever sends them."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import UInt8MultiArray

from vloc_ros.errors import MapError
from vloc_ros.ros.foreign_maps import WHERE
from vloc_ros.ros.node import LATCHED, VlocNode
from vloc_ros.ros.parameters import RelocalizerParameters

NEW_ONES = QoSProfile(depth=1, durability=DurabilityPolicy.VOLATILE)


class MapTopic:
    """Listens from `listen` to `stop`. A map of more than `max_map_mb` goes to `refuse`, all others to `take`.

    The middleware keeps room for the largest message for as long as a subscription lasts. So the subscription that a
    map was too large for ends, and the next one does not ask for maps that were sent before it, until somebody else
    offers one.
    """

    def __init__(
        self,
        node: VlocNode[RelocalizerParameters],
        scope: ExitStack,
        take: Callable[[UInt8MultiArray], object],
        refuse: Callable[[MapError], None],
    ) -> None:
        self._node, self._take, self._refuse = node, take, refuse
        self._subscription: Any = None
        self._refused: frozenset[tuple[int, ...]] = frozenset()  # who was there when a map was too large
        scope.callback(self.stop)

    def listen(self) -> None:
        """From the newest map on, which the map server sends to each new subscription."""
        self._refused = frozenset()
        self._subscribe(LATCHED)

    def stop(self) -> None:
        """Needs no `listen` before."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _subscribe(self, qos: QoSProfile) -> None:
        self.stop()
        matched = self._node.faults.around("map/data", self._on_matched)
        self._subscription = self._node.create_subscription(
            UInt8MultiArray, WHERE, self._on_data, qos, event_callbacks=SubscriptionEventCallbacks(matched=matched)
        )

    def _on_data(self, message: UInt8MultiArray) -> None:
        size_mb, limit_mb = len(message.data) / 1e6, self._node.parameters.max_map_mb
        if size_mb <= limit_mb:
            self._take(message)
            return
        self._refuse(MapError(f"{WHERE}: {size_mb:.1f} MB, parameter max_map_mb allows {limit_mb:g} MB"))
        self._refused = self._publishers()
        self._subscribe(NEW_ONES)

    def _on_matched(self, status: object) -> None:
        if self._refused and self._publishers() - self._refused:
            self.listen()

    def _publishers(self) -> frozenset[tuple[int, ...]]:
        return frozenset(tuple(end.endpoint_gid) for end in self._node.get_publishers_info_by_topic(WHERE))
