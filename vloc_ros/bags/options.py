"""What to take from a bag."""

from collections.abc import Callable
from dataclasses import dataclass, field

from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera_info import InfoOptions


@dataclass(frozen=True)
class GroundTruthOptions:
    """Where the truth is: `source` is the name of a topic, `tf`, `tf:FRAME` (poses in that frame instead of the
    map's) or a TUM file; empty: the only topic of poses or transforms there is, odometry aside.

    `frame`: the frame whose poses they are, empty for what the messages say, or else the camera's. `max_gap_s`: the
    longest time between two poses that is interpolated. `offset_s`: the truth's clock minus the images'. `option`: what
    the source is called where people name it.
    """

    source: str = ""
    frame: str = ""
    max_gap_s: float = 0.25
    offset_s: float = 0.0
    option: str = "--truth"

    def __post_init__(self) -> None:
        if not 0 <= self.max_gap_s < 3600:
            raise ConfigError(f"{self.option}-gap {self.max_gap_s:g}: must be 0 to 3600 seconds")
        if not abs(self.offset_s) < 1e6:
            raise ConfigError(f"--time-offset {self.offset_s:g}: must be less than a million seconds")


@dataclass(frozen=True)
class BagOptions:
    """What to take from a bag; with an empty name, the only topic that can be meant.

    `rectified`: the images are undistorted already, use camera_info's P, not K and D. `place`: where it was recorded,
    in a map of several. `tf_topics`: where its transforms are, empty for those of the images' namespace.
    `camera_frame`: the frame of the camera's optical centre, empty for the one in the images' headers.

    `cameras`: several of a rig, in place of `image_topic`, each by the topic of its images or by the namespace of that;
    truth is of the first. `camera_frames`: one each, or none, as `camera_frame`. Images are of one moment if their
    stamps are no farther apart than `tolerance_s`; how the robot moved in between is known from the frame `odom_frame`,
    where TF has it. A track takes the odometry between `odom_frame` and `base_frame` from TF, or from `odometry_topic`
    if that is named. `only_at`: images of other stamps are not of interest. Raises ConfigError.
    """

    image_topic: str = ""
    camera_info_topic: str = ""
    rectified: bool = False
    truth: GroundTruthOptions = field(default_factory=GroundTruthOptions)
    place: str | None = None
    tf_topics: tuple[str, ...] = ()
    camera_frame: str = ""
    cameras: tuple[str, ...] = ()
    camera_frames: tuple[str, ...] = ()
    tolerance_s: float = 0.02
    odom_frame: str = "odom"
    base_frame: str = "base_link"
    odometry_topic: str = ""
    only_at: Callable[[int], bool] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance_s <= 1:
            raise ConfigError(f"--camera-tolerance {self.tolerance_s:g}: must be 0 to 1 second")
        if twice := [name for name in self.cameras if self.cameras.count(name) > 1]:
            raise ConfigError(f"--cameras: {twice[0]} is named twice")
        alone = {"--image-topic": self.image_topic, "--camera-info-topic": self.camera_info_topic}
        alone["--camera-frame"] = self.camera_frame
        if self.cameras and (given := next((name for name, value in alone.items() if value), "")):
            raise ConfigError(f"{given} is of one camera, --cameras names several")
        if self.camera_frames and len(self.camera_frames) != len(self.cameras):
            frames, cameras = len(self.camera_frames), len(self.cameras)
            raise ConfigError(f"--camera-frames names {frames}, must be as many as --cameras: {cameras}")

    @property
    def info(self) -> InfoOptions:
        """How its camera_info is meant."""
        to_set = "--camera-frames" if self.cameras else "--camera-frame"
        return InfoOptions(self.rectified, bool(self.camera_frame or self.camera_frames), "--rectified", to_set)
