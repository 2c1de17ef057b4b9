"""What is believed: of one image, and of one after the other."""

import math
from dataclasses import dataclass
from functools import cached_property

from vloc_ros.geometry.pose_error import RIGHT_POSE
from vloc_ros.ros.parameters.base import NodeParameters
from vloc_ros.ros.parameters.field import parameter
from vloc_ros.tracking.models import OdometryNoise
from vloc_ros.tracking.pose_filter import FilterOptions
from vloc_ros.tracking.track import CHI_SQUARE, JUMP_TESTS, TrackingOptions


@dataclass(frozen=True)
class TrackingParameters(NodeParameters):
    """The gate and the tracker of the relocalizer."""

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
    min_agreement: float = parameter(
        0.0,
        "Of a building whose places have surfaces: accept no pose of which a smaller part of the image has the colours "
        "of the place. 0: each place's own limit. 0.001: all are accepted, as where the light is another one than when "
        "the places were mapped.",
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
    odometry_topic: str = parameter(
        "",
        "Topic of nav_msgs/Odometry of the same odometry as in TF, whose covariances say how noisy it is: the growth "
        "of the pose's, or else the twist's, where they are plausible; the log says which. Empty, or where they are "
        "not: the parameters odometry_noise_m, odometry_noise_deg and odometry_turn_noise_deg.",
        live=False,
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
