"""What the filter takes for granted: how odometry drifts, and how alike the errors of consecutive fixes are."""

import math
from dataclasses import dataclass

from vloc_ros.errors import ConfigError


@dataclass(frozen=True)
class OdometryNoise:
    """Standard deviations of what odometry gets wrong. Raises ConfigError for one that is negative or not finite.

    What stays the same for a long time, and is estimated: `scale`, by what share distances are too short, and
    `pull_rad_per_m`, by how much each metre driven ahead turns to the left. Both change over `steady_m` metres.
    What is new at every step, and adds up as a random walk does, with the root of the way: `position_m` and
    `rotation_rad` after one metre, `turn_rad` after one radian of turning.
    """

    scale: float = 0.03
    pull_rad_per_m: float = math.radians(2.5)
    steady_m: float = 20.0
    position_m: float = 0.01
    rotation_rad: float = math.radians(0.5)
    turn_rad: float = math.radians(2.0) / math.sqrt(math.pi / 2)  # 2 degrees after a turn of 90

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < math.inf:
                raise ConfigError(f"odometry: {name} is {value}, must be 0 or more")
        if self.steady_m == 0:
            raise ConfigError("odometry: steady_m is 0, must be positive")


@dataclass(frozen=True)
class FixErrorModel:
    """How the errors of fixes belong together: consecutive images see the same landmarks, so that the second of two
    tells less than the first.

    Of the error of each fix a `shared` part of the variance comes from a state that changes slowly (Gauss-Markov): its
    correlation between two fixes is exp(-distance / distance_m - angle / angle_rad) of the way between them. The rest
    is new with every image. Of a fix that is less sure than others nearby, the shared part is only as large as theirs.
    The defaults were fitted to four times 50 consecutive frames of redkitchen's train split, localized with a map made
    without them (`benchmark/fix_correlation.py`). Raises ConfigError for what makes no sense.
    """

    shared: float = 0.81
    distance_m: float = 0.26
    angle_rad: float = 0.26

    def __post_init__(self) -> None:
        if not 0 <= self.shared < 1:
            raise ConfigError(f"fix errors: shared is {self.shared}, must be at least 0 and below 1")
        for name in ("distance_m", "angle_rad"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"fix errors: {name} is {getattr(self, name)}, must be positive")

    def correlation(self, distance_m: float, angle_rad: float) -> float:
        """Of the slow part, after so much of a way."""
        return math.exp(-distance_m / self.distance_m - angle_rad / self.angle_rad)
