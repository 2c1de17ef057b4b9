"""The cameras, and which of their images belong together."""

import re
from dataclasses import dataclass

from vloc_ros.core.synchronizer import SyncOptions
from vloc_ros.errors import ConfigError
from vloc_ros.ros.parameters.base import NodeParameters
from vloc_ros.ros.parameters.field import parameter

CAMERA_NAME = re.compile("/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
RAW, COMPRESSED = IMAGE_TRANSPORTS = ("raw", "compressed")


@dataclass(frozen=True)
class CameraParameters(NodeParameters):
    """The cameras of the relocalizer."""

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
    camera_frame: str = parameter(
        "", "The camera's optical frame (z forward, x right). Empty: the frame in the header of its images."
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

    def __post_init__(self) -> None:
        super().__post_init__()
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
