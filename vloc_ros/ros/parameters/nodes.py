"""The parameters of each node."""

from dataclasses import dataclass

from vloc_ros.ros.parameters.base import NodeParameters
from vloc_ros.ros.parameters.cameras import CameraParameters
from vloc_ros.ros.parameters.field import parameter
from vloc_ros.ros.parameters.frames import FrameParameters
from vloc_ros.ros.parameters.map import ACCEPT_UNKNOWN_SCALE, REQUIRE_SIGNATURE, MapParameters
from vloc_ros.ros.parameters.tracking import TrackingParameters
from vloc_ros.tracking.search_planner import GLOBAL_EVERY

FIXED, ADAPTIVE = RATES = ("fixed", "adaptive")


@dataclass(frozen=True)
class MapServerParameters(NodeParameters):
    """Parameters of `vloc_map_server`."""

    map: str = parameter(
        "",
        "Map directory, as `vloc map` writes it: a path, file:///PATH or package://PACKAGE/PATH. Needed, unless there "
        "are `maps`; the launch file's argument `map` sets it. Setting it at run time loads the new map, or is refused "
        "with the reason and the old map stays.",
    )
    maps: tuple[str, ...] = parameter(
        (),
        "Several map directories, such as floors: ~/list_maps lists them, ~/load_map serves one of them or any other. "
        "The first one is served where `map` is empty.",
    )
    require_signature: str = parameter("", REQUIRE_SIGNATURE, live=False)
    accept_unknown_scale: bool = parameter(False, ACCEPT_UNKNOWN_SCALE)

    @property
    def first_map(self) -> str:
        """What to serve; "" where nothing says it."""
        return self.map or next(iter(self.maps), "")


@dataclass(frozen=True)
class RecorderParameters(NodeParameters):
    """Parameters of `recorder`."""

    out: str = parameter("", "Directory to write.", live=False)


@dataclass(frozen=True)
class RateParameters(NodeParameters):
    """Which images the relocalizer localizes."""

    enabled: bool = parameter(
        True, "Localize every image. False: only when ~/trigger is called. ~/set_enabled sets it, too."
    )
    max_rate_hz: float = parameter(
        0.0,
        "Localize so many images a second at most; the others are not looked at. 0: all that the computer can.",
        unit="Hz",
        low=0.0,
        high=1000.0,
    )
    rate: str = parameter(
        FIXED,
        "adaptive: a robot that stands, by its odometry, and is localized, localizes standing_rate_hz images a second "
        "at most; otherwise, and always with fixed, max_rate_hz.",
        choices=RATES,
    )
    standing_rate_hz: float = parameter(
        1.0, "See rate. More than 1 / lost_after, or the state is lost in between.", unit="Hz", low=0.1, high=1000.0
    )
    global_every: int = parameter(
        GLOBAL_EVERY,
        "Every so-many-th image is localized by the networks, as if nothing were known of the track, so that a wrong "
        "track cannot feed itself. In the others, the points of the last such image are followed, which takes an "
        "eighth of the processor time; where that fails, they are localized by the networks near the track. Where "
        "following works, the pose does not wait for the networks: they check it afterwards. 1: all images are "
        "localized by the networks.",
        low=1,
        high=1000,
    )


@dataclass(frozen=True)
class InitialPoseParameters(NodeParameters):
    """What the relocalizer tells other localizations."""

    publish_initialpose: bool = parameter(
        False,
        "Publish the first fix and every accepted jump on initialpose, for AMCL and friends; a new subscriber gets the "
        "current fix.",
        begins="For others",
    )


# A dataclass has the fields of its last base first.
@dataclass(frozen=True)
class RelocalizerParameters(
    InitialPoseParameters, TrackingParameters, FrameParameters, CameraParameters, MapParameters, RateParameters
):
    """Parameters of `relocalizer`."""
