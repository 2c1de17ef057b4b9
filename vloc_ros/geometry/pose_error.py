"""How far a pose is from the true one, and how far it may be."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from vloc_ros.geometry.transforms import Matrix, rotation_angle


@dataclass(frozen=True)
class PoseTolerance:
    """How far a pose may be from the true one. Both have to hold; the limit itself counts as inside."""

    metres: float
    degrees: float

    def __str__(self) -> str:
        return f"{self.centimetres:g} cm and {self.degrees:g} deg"

    @property
    def centimetres(self) -> float:
        return 100 * self.metres

    @property
    def name(self) -> str:
        """In names of figures, such as 5cm_5deg."""
        return f"{self.centimetres:g}cm_{self.degrees:g}deg"


RIGHT_POSE = PoseTolerance(0.05, 5.0)  # what a confidence is the probability of
NOT_WRONG_POSE = PoseTolerance(0.25, 5.0)  # beyond it, a robot is misled


@dataclass(frozen=True)
class PoseError:
    """Distance of the camera centres (m) and angle between the orientations (rad); infinite in the wrong place."""

    translation_m: float
    rotation_rad: float

    @property
    def in_right_place(self) -> bool:
        """Whether the pose is in the right place, so that there is a distance at all."""
        return math.isfinite(self.translation_m)

    def within(self, tolerance: PoseTolerance) -> bool:
        return self.translation_m <= tolerance.metres and math.degrees(self.rotation_rad) <= tolerance.degrees


WRONG_PLACE = PoseError(math.inf, math.inf)  # its coordinates are in another frame: nothing could be compared


def pose_error(map_from_camera: Matrix, true_map_from_camera: Matrix) -> PoseError:
    """Error of a pose, both 4x4."""
    return PoseError(
        translation_m=float(np.linalg.norm(map_from_camera[:3, 3] - true_map_from_camera[:3, 3])),
        rotation_rad=rotation_angle(true_map_from_camera[:3, :3], map_from_camera[:3, :3]),
    )


def error_vector(map_from_camera: Matrix, true_map_from_camera: Matrix) -> Matrix:
    """Error (6,) of a pose in the order and axes of `PoseEstimate.covariance`: translation (m), then the rotation
    vector (rad) that turns the true orientation into the estimated one, about the map's axes."""
    rotation, _ = cv2.Rodrigues(map_from_camera[:3, :3] @ true_map_from_camera[:3, :3].T)
    return np.concatenate([map_from_camera[:3, 3] - true_map_from_camera[:3, 3], rotation.ravel()])
