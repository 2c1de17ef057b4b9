"""How what is published follows the estimate without steps."""

import math
from dataclasses import dataclass

import numpy as np

from vloc_ros.geometry.pose_error import error_vector
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix, invert

MAX_STEP_M, MAX_STEP_RAD = 0.02, math.radians(2.0)  # from one broadcast to the next
SPEED_M_PER_S, SPEED_RAD_PER_S = 0.4, math.radians(40.0)  # of the correction


def approached(published: Matrix, wanted: Matrix, odom_from_base: Matrix, seconds: float) -> Matrix:
    """`map_from_odom` (4, 4) on its way from the published to the wanted one, so many seconds later.

    Steps are measured where the robot is, for it is the robot that must not jump: the origin of its odometry may be far
    away, where a small turn is a long way.
    """
    before, after = published @ odom_from_base, wanted @ odom_from_base
    step = error_vector(after, before)
    limits = (
        min(MAX_STEP_M, SPEED_M_PER_S * seconds) / max(float(np.linalg.norm(step[:3])), 1e-12),
        min(MAX_STEP_RAD, SPEED_RAD_PER_S * seconds) / max(float(np.linalg.norm(step[3:])), 1e-12),
    )
    if min(limits) >= 1:
        return wanted
    moved: Matrix = perturb(before, min(limits) * step) @ invert(odom_from_base)
    return moved


@dataclass(frozen=True, eq=False)
class Published:
    """`map_from_odom` (4, 4) as it was published at a time, and how often the robot had been placed by then."""

    map_from_odom: Matrix
    placements: int
    at_ns: int

    def next(self, wanted: Matrix, odom_from_base: Matrix, placements: int, now_ns: int) -> "Published":
        """What is published next: on the way to the wanted one, or that itself if the robot was placed anew, or time
        has gone back."""
        seconds = (now_ns - self.at_ns) / NS_PER_S
        if placements != self.placements or seconds < 0:
            return Published(wanted, placements, now_ns)
        return Published(approached(self.map_from_odom, wanted, odom_from_base, seconds), placements, now_ns)
