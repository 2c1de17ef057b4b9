"""Cameras that sit on one rig and move together."""

from dataclasses import dataclass, field

import numpy as np

from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import Matrix

ALONE: Matrix = np.eye(4)
ALONE.setflags(write=False)


@dataclass(frozen=True, eq=False)
class RigCamera:
    """A pinhole camera and where it sits, `rig_from_camera` (4, 4), metres. A camera alone is its own rig."""

    camera: Camera
    rig_from_camera: Matrix = field(default_factory=lambda: ALONE)

    @property
    def is_rig(self) -> bool:
        """Whether the rig's frame is the camera's own."""
        return self.rig_from_camera is ALONE or bool(np.array_equal(self.rig_from_camera, ALONE))

    def map_from_camera(self, map_from_rig: Matrix) -> Matrix:
        """Pose (4, 4) of the camera where the rig is at `map_from_rig`."""
        return map_from_rig if self.is_rig else np.ascontiguousarray(map_from_rig @ self.rig_from_camera)


def camera_step_from_rig_step(map_from_rig: Matrix, map_from_camera: Matrix) -> Matrix:
    """What (6, 6) turns a small step of the rig into that of a camera on it, both as `pose_refinement.perturb` has
    them: the camera turns with the rig, and is moved by the turn as far as it sits from the rig's origin."""
    x, y, z = map_from_camera[:3, 3] - map_from_rig[:3, 3]
    steps = np.eye(6)
    steps[:3, 3:] = [[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]]
    return steps
