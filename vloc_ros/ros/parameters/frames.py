"""The robot's frames, and what is broadcast between them."""

from dataclasses import dataclass

from vloc_ros.errors import ConfigError
from vloc_ros.ros.parameters.base import NodeParameters
from vloc_ros.ros.parameters.field import parameter

MAP_TO_ODOM, MAP_TO_BASE, MAP_TO_CAMERA, NO_TF = TF_MODES = ("map_to_odom", "map_to_base", "map_to_camera", "none")


@dataclass(frozen=True)
class FrameParameters(NodeParameters):
    """The frames of the relocalizer."""

    base_frame: str = parameter(
        "base_link",
        "The robot's frame. Empty: the camera itself is the robot, and no transform to it is needed.",
        begins="Frames",
    )
    odom_frame: str = parameter("odom", "The odometry's frame; needed where tf_mode is map_to_odom.")
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tf_mode == MAP_TO_ODOM and self.odom_frame == self.base_frame:
            raise ConfigError(f"parameters odom_frame and base_frame are both {self.base_frame!r}")
