"""Map server and relocalizer in one process: a map is handed over as it is, and not sent through DDS to oneself."""

from typing import Any

from vloc_ros.ros.map_server import MapServer
from vloc_ros.ros.node import VlocNode
from vloc_ros.ros.relocalizer import Relocalizer


def make_nodes() -> list[VlocNode[Any]]:
    """Both, in the order in which they start. The map server publishes its map for others as always."""
    server = MapServer()
    relocalizer = Relocalizer(hand_over=lambda: server.handed)
    server.hand_to(relocalizer.take_map)
    return [server, relocalizer]
