"""Every parameter of the nodes: name, type, default, meaning, range, and when it may change."""

from vloc_ros.ros.parameters.base import NodeParameters, build_parameters, declare, fixed_while_configured
from vloc_ros.ros.parameters.cameras import COMPRESSED
from vloc_ros.ros.parameters.frames import MAP_TO_BASE, MAP_TO_CAMERA, MAP_TO_ODOM
from vloc_ros.ros.parameters.nodes import ADAPTIVE, MapServerParameters, RecorderParameters, RelocalizerParameters

__all__ = [
    "ADAPTIVE",
    "COMPRESSED",
    "MAP_TO_BASE",
    "MAP_TO_CAMERA",
    "MAP_TO_ODOM",
    "MapServerParameters",
    "NodeParameters",
    "RecorderParameters",
    "RelocalizerParameters",
    "build_parameters",
    "declare",
    "fixed_while_configured",
]
