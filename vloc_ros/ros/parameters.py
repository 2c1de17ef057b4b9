"""Every parameter of both nodes: name, type, default, meaning, range, and when it may change."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeVar

from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node

from vloc_ros.core.model_spec import PRECISIONS
from vloc_ros.core.synchronizer import SyncOptions
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.pose_error import RIGHT_POSE
from vloc_ros.inference import BACKENDS
from vloc_ros.inference.backend import MAX_THREADS
from vloc_ros.ros.parameter_field import as_ros, check, descriptor_of, from_ros, parameter
from vloc_ros.tracking.models import OdometryNoise
from vloc_ros.tracking.pose_filter import FilterOptions
from vloc_ros.tracking.track import CHI_SQUARE, JUMP_TESTS, TrackingOptions

T = TypeVar("T", bound="NodeParameters")
MAP_ID = re.compile("[0-9a-f]{12,64}")
CAMERA_NAME = re.compile("/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
ACCEPT_UNKNOWN_SCALE = (
    "Take a map whose scale is unknown (`vloc map --scale none`), too: its poses are in no unit. False: it is refused."
)

MAP_TO_ODOM, MAP_TO_BASE, MAP_TO_CAMERA, NO_TF = TF_MODES = ("map_to_odom", "map_to_base", "map_to_camera", "none")
FIXED, ADAPTIVE = RATES = ("fixed", "adaptive")
RAW, COMPRESSED = IMAGE_TRANSPORTS = ("raw", "compressed")


@dataclass(frozen=True)
class NodeParameters:
    """What both nodes have. Raises ConfigError naming the parameter for a value of another type or out of range."""

    autostart: bool = parameter(
        True, "Configure and activate at start. False: a lifecycle manager does that.", live=False, begins="Start"
    )

    def __post_init__(self) -> None:
        for spec in fields(self):
            check(spec, getattr(self, spec.name))


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
class RelocalizerParameters(NodeParameters):
    """Parameters of `relocalizer`."""

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
        5,
        "Every so-many-th image is localized as if nothing were known of the track, so that a wrong track cannot feed "
        "itself; the others begin near where odometry puts the robot. 1: all are.",
        low=1,
        high=1000,
    )
    map: str = parameter(
        "",
        "Map directory: a path, file:///PATH or package://PACKAGE/PATH. Empty: the map that the map server publishes.",
        begins="Map and network",
    )
    maps: tuple[str, ...] = parameter(
        (),
        "Several map directories, such as floors, none of which are called alike: the relocalizer finds out which of "
        "them it is in. It begins with `map`, which must be one of them, or with the first.",
        live=False,
    )
    max_open_maps: int = parameter(
        3,
        "Of `maps`, so many are in memory at most: the one in use, those near the robot, and, while it is lost, the "
        "others in turn.",
        low=2,
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
    image_transport: str = parameter(
        RAW,
        "Type of the topic `image`: raw (sensor_msgs/Image), or compressed (sensor_msgs/CompressedImage), which then "
        "is on `image/compressed`, as image_transport has it; a name that ends so already is taken as it is.",
        choices=IMAGE_TRANSPORTS,
        live=False,
        begins="Camera",
    )
    cameras: tuple[str, ...] = parameter(
        (),
        "Several cameras on the robot, by name: the topics of each are NAME/image and NAME/camera_info, and its images "
        "are localized together with those that the others took at the same time "
        "(docs/howto/several_cameras.md). Empty: one camera, on `image` and `camera_info`.",
        live=False,
    )
    camera_frames: tuple[str, ...] = parameter(
        (), "Optical frames of `cameras`, one each. Empty: the frames in the headers of their images."
    )
    camera_tolerance: float = parameter(
        0.02,
        "Images of several cameras are of one moment if their stamps are at most so far apart; where odometry is used, "
        "it says how the robot moved in between. 0: equal stamps only.",
        unit="s",
        low=0.0,
        high=1.0,
        live=False,
    )
    camera_wait: float = parameter(
        0.1,
        "Wait so long for an image that a moment lacks, and then go on without. A camera that is silent is not waited "
        "for again before it has come back.",
        unit="s",
        low=0.0,
        high=1.0,
        live=False,
    )
    image_rectified: bool = parameter(
        False, "The images are undistorted already (image_proc's image_rect): use camera_info's P, not K and D."
    )
    base_frame: str = parameter(
        "base_link",
        "The robot's frame. Empty: the camera itself is the robot, and no transform to it is needed.",
        begins="Frames",
    )
    odom_frame: str = parameter("odom", "The odometry's frame; needed where tf_mode is map_to_odom.")
    camera_frame: str = parameter(
        "", "The camera's optical frame (z forward, x right). Empty: the frame in the header of its images."
    )
    tf_mode: str = parameter(
        MAP_TO_ODOM,
        "The transform that is broadcast. map_to_odom corrects the drift of somebody's odom -> base_link (REP-105); "
        "map_to_base where nobody provides odometry; map_to_camera for a camera by itself; none where somebody else "
        "does it: a filter that takes ~/pose, or AMCL.",
        choices=TF_MODES,
    )
    tf_publish_rate: float = parameter(
        20.0, "How often map -> odom is broadcast. Taken over at activation.", unit="Hz", low=0.1, high=1000.0
    )
    transform_tolerance: float = parameter(
        0.3,
        "map -> odom is dated so far ahead, so that it is there for whoever asks TF for now. A correction shows so "
        "much later; shorter, and look-ups fail on a busy computer.",
        unit="s",
        low=0.0,
        high=10.0,
    )
    tf_timeout: float = parameter(
        0.2,
        "Wait so long for TF at the stamp of an image before the image is given up.",
        unit="s",
        low=0.0,
        high=10.0,
    )
    two_d_mode: bool = parameter(False, "Ground robot: the pose has no height, roll or pitch.")
    min_inliers: int = parameter(
        0,
        "Accept no pose from fewer landmarks. 0: the map's own limit, found on images that were kept back.",
        low=0,
        high=100000,
        begins="What is believed",
    )
    max_reprojection_rmse_px: float = parameter(
        0.0,
        "Accept no pose whose landmarks are off by more pixels of the map's images. 0: the map's own limit.",
        unit="px",
        low=0.0,
        high=1000.0,
    )
    min_confidence: float = parameter(
        0.0,
        f"Accept no pose that is less likely than this to be within {RIGHT_POSE} of the truth. 0: the map's own "
        "limit, set for the false positive rate that `vloc map` was told.",
        low=0.0,
        high=1.0,
    )
    jump_test: str = parameter(
        CHI_SQUARE,
        "What a jump is, where there is odometry. chi_square: a fix that the covariances of the track, of the odometry "
        "and of the fix cannot explain; distance: one farther off than max_jump_m or max_jump_deg, whatever they say.",
        choices=JUMP_TESTS,
    )
    max_jump_m: float = parameter(
        0.5,
        "A fix farther than this from the previous one, moved by odometry, is a jump: with jump_test: distance, "
        "without odometry, and after a hint.",
        unit="m",
        low=0.0,
    )
    max_jump_deg: float = parameter(
        15.0, "A fix turned by more than this against it is a jump, too.", unit="deg", low=0.0, high=180.0
    )
    odometry_scale: float = parameter(
        OdometryNoise.scale,
        "By what share distances of the odometry are off, all alike (standard deviation); how much is estimated.",
        low=0.0,
        high=1.0,
    )
    odometry_pull_deg_per_m: float = parameter(
        math.degrees(OdometryNoise.pull_rad_per_m),
        "How far it turns with every metre ahead by mistake, all alike (standard deviation); how much is estimated.",
        unit="deg/m",
        low=0.0,
        high=90.0,
    )
    odometry_noise_m: float = parameter(
        OdometryNoise.position_m,
        "What else its positions are off by after one metre (standard deviation); it grows with the root of the way.",
        unit="m",
        low=0.0,
        high=10.0,
    )
    odometry_noise_deg: float = parameter(
        math.degrees(OdometryNoise.rotation_rad),
        "What else its orientation is off by after one metre.",
        unit="deg",
        low=0.0,
        high=90.0,
    )
    odometry_turn_noise_deg: float = parameter(
        2.0, "What its orientation is off by after a turn of 90 degrees.", unit="deg", low=0.0, high=90.0
    )
    agreeing_fixes: int = parameter(
        3, "A jump is accepted only when so many fixes in a row agree on it.", low=1, high=1000
    )
    map_switch: int = parameter(
        3,
        "The robot is in another place of the map, or in another map, only when so many fixes in a row agree on it; "
        "after a single one there, no fix is believed until so many in a row agree.",
        low=1,
        high=1000,
    )
    max_speed_mps: float = parameter(
        1.5,
        "Without odometry (tf_mode other than map_to_odom), the robot may have moved so fast on top of max_jump_m.",
        unit="m/s",
        low=0.0,
    )
    max_turn_deg_per_s: float = parameter(
        90.0, "Without odometry, it may have turned so fast on top of max_jump_deg.", unit="deg/s", low=0.0
    )
    lost_after: float = parameter(2.0, "Without an accepted fix for so long, the state is lost.", unit="s", low=0.01)
    lost_sigma_m: float = parameter(
        1.0,
        "So it is where the filtered position has a larger standard deviation in its worst direction.",
        unit="m",
        low=0.001,
    )
    publish_initialpose: bool = parameter(
        False,
        "Publish the first fix and every accepted jump on initialpose, for AMCL and friends; a new subscriber gets the "
        "current fix.",
        begins="For others",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tf_mode == MAP_TO_ODOM and self.odom_frame == self.base_frame:
            raise ConfigError(f"parameters odom_frame and base_frame are both {self.base_frame!r}")
        if self.maps and self.map and self.map not in self.maps:
            raise ConfigError(f"parameter map is {self.map!r}, must be one of the parameter maps: {list(self.maps)}")
        if odd := [text for text in self.allowed_map_ids if not MAP_ID.fullmatch(text)]:
            raise ConfigError(f"parameter allowed_map_ids has {odd[0]!r}, an id is 12 to 64 of 0123456789abcdef")
        self._check_cameras()

    def _check_cameras(self) -> None:
        if odd := [name for name in self.cameras if not CAMERA_NAME.fullmatch(name)]:
            raise ConfigError(f"parameter cameras has {odd[0]!r}, which is no name: its topics could not be, either")
        if twice := [name for name in self.cameras if self.cameras.count(name) > 1]:
            raise ConfigError(f"parameter cameras has {twice[0]!r} twice")
        if self.cameras and self.camera_frame:
            raise ConfigError(f"parameter camera_frame is {self.camera_frame!r}: of `cameras`, set camera_frames")
        if self.camera_frames and len(self.camera_frames) != len(self.cameras):
            frames, cameras = len(self.camera_frames), len(self.cameras)
            raise ConfigError(f"parameter camera_frames has {frames}, must have as many as cameras: {cameras}")

    def camera_frame_of(self, camera: str) -> str:
        """The optical frame that is set for one of `cameras`, or for the only camera, ""; empty if none is."""
        return dict(zip(self.cameras, self.camera_frames, strict=False)).get(camera, self.camera_frame)

    @property
    def synchronization(self) -> SyncOptions:
        return SyncOptions(self.camera_tolerance, self.camera_wait)

    @property
    def _odometry_noise(self) -> OdometryNoise:
        return OdometryNoise(
            scale=self.odometry_scale,
            pull_rad_per_m=math.radians(self.odometry_pull_deg_per_m),
            position_m=self.odometry_noise_m,
            rotation_rad=math.radians(self.odometry_noise_deg),
            turn_rad=math.radians(self.odometry_turn_noise_deg) / math.sqrt(math.pi / 2),
        )

    @cached_property
    def tracking(self) -> TrackingOptions:
        return TrackingOptions(
            max_jump_m=self.max_jump_m,
            max_jump_deg=self.max_jump_deg,
            agreeing_fixes=self.agreeing_fixes,
            map_switch=self.map_switch,
            max_speed_m_per_s=self.max_speed_mps,
            max_speed_deg_per_s=self.max_turn_deg_per_s,
            lost_after_s=self.lost_after,
            lost_sigma_m=self.lost_sigma_m,
            jump_test=self.jump_test,
            filter=FilterOptions(self._odometry_noise),
        )


def declare(node: Node, kind: type[T]) -> T:
    """Declare all parameters of `kind` on a node and return their values. Raises ConfigError for a bad one."""
    try:
        values = {
            spec.name: node.declare_parameter(spec.name, as_ros(spec.default), descriptor_of(spec)).value
            for spec in fields(kind)
        }
    except InvalidParameterValueException as error:  # out of the range in the descriptor
        raise ConfigError(str(error)) from error
    return build_parameters(kind, values)


def build_parameters(kind: type[T], values: Mapping[str, Any]) -> T:
    """Checked parameters of values as ROS has them; whole numbers are welcome where a float is meant."""
    kinds = {spec.name: spec.type for spec in fields(kind)}
    checked: Mapping[str, Any] = {name: from_ros(kinds[name], value) for name, value in values.items()}
    return kind(**checked)


def fixed_while_configured(kind: type[NodeParameters]) -> frozenset[str]:
    """Names of the parameters that take effect only when the node is configured."""
    return frozenset(spec.name for spec in fields(kind) if not spec.metadata["live"])
