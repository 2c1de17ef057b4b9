"""Which maps are used, and what runs their networks."""

import re
from dataclasses import dataclass

from vloc_ros.core.model_spec import PRECISIONS
from vloc_ros.errors import ConfigError
from vloc_ros.inference import BACKENDS
from vloc_ros.inference.backend import MAX_THREADS
from vloc_ros.ros.parameters.base import NodeParameters
from vloc_ros.ros.parameters.field import parameter

MAP_ID = re.compile("[0-9a-f]{12,64}")
ACCEPT_UNKNOWN_SCALE = (
    "Take a map whose scale is unknown (`vloc map --scale none`), too: its poses are in no unit. False: it is refused."
)

REQUIRE_SIGNATURE = (
    "Public key of Ed25519, a PEM file: a map that has no signature of it (`vloc sign`) is refused, wherever it comes "
    "from. Empty: no signature is asked for."
)


@dataclass(frozen=True)
class MapParameters(NodeParameters):
    """Map and network of the relocalizer."""

    map: str = parameter(
        "",
        "Directory of a map or a building: a path, file:///PATH or package://PACKAGE/PATH. Empty: the map that the "
        "map server publishes.",
        begins="Map and network",
    )
    maps: tuple[str, ...] = parameter(
        (),
        "Several map directories, such as floors, none of which are called alike: the relocalizer finds out which of "
        "them it is in. It begins with `map`, which must be one of them, or with the first.",
        live=False,
    )
    max_open_maps: int = parameter(
        0,
        "So many maps are in memory at most, 2 or more. Of `maps`: the one in use, those near the robot, and, while it "
        "is lost, the others in turn; of a building: those of the places that were asked last. Buildings among `maps` "
        "share them evenly. 0: 3 of `maps`, 8 of each building.",
        low=0,
        high=1000,
    )
    max_map_mb: float = parameter(
        64.0, "A larger map from the map server is refused, packed or unpacked.", unit="MB", low=0.001, high=4096.0
    )
    map_check_timeout: float = parameter(
        60.0,
        "A map from the map server is tried out in a process of its own first; one that takes longer is refused.",
        unit="s",
        low=0.1,
        high=3600.0,
    )
    allowed_map_ids: tuple[str, ...] = parameter(
        (),
        "Maps from the map server that may be used: ids as `vloc inspect` and the status show them, or more digits of "
        '`sha256sum map.yaml`, in quotes: ["0123456789ab"]. Empty: every map may.',
    )
    require_signature: str = parameter("", REQUIRE_SIGNATURE, live=False)
    accept_unknown_scale: bool = parameter(False, ACCEPT_UNKNOWN_SCALE)
    backend: str = parameter(
        "auto",
        "What runs the network. auto: the first of the others that works here (docs/tensorrt.md).",
        choices=("auto", *BACKENDS),
        live=False,
    )
    precision: str = parameter(
        "auto",
        "Arithmetic of the network, one that the map has. auto: float16 on a GPU if the map has it, else float32.",
        choices=("auto", *PRECISIONS),
        live=False,
    )
    threads: int = parameter(
        0,
        "CPU threads of the network. 0: one per core. Fewer leave room for the rest of the robot.",
        low=0,
        high=MAX_THREADS,
        live=False,
    )

    @property
    def max_open_places(self) -> int | None:
        """Of how many places each building keeps the maps in memory; None: as many as without being told."""
        return self.max_open_maps // max(1, min(len(self.maps), self.max_open_maps)) or None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.maps and self.map and self.map not in self.maps:
            raise ConfigError(f"parameter map is {self.map!r}, must be one of the parameter maps: {list(self.maps)}")
        if self.max_open_maps == 1:
            raise ConfigError("parameter max_open_maps is 1, must be 0 or from 2 to 1000")
        if odd := [text for text in self.allowed_map_ids if not MAP_ID.fullmatch(text)]:
            raise ConfigError(f"parameter allowed_map_ids has {odd[0]!r}, an id is 12 to 64 of 0123456789abcdef")
