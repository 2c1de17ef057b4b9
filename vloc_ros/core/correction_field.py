"""The correction field: what a map's poses are off by, as far as that varies smoothly with the viewpoint."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.arrays import require_finite
from vloc_ros.core.manifest import MAX_COORDINATE_M
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.transforms import first_not_rigid, pose_distances, rigid_fault

Float = NDArray[np.float64]

MAX_COEFFICIENT = 1.0  # metres and radians: what is farther off is no small error


@dataclass(frozen=True)
class CorrectionKernel:
    """How much what is known at one pose says of another: exp(-(d^2 / distance_m^2 + a^2 / angle_rad^2) / 2), d metres
    and a radians apart. Raises ConfigError for what makes no sense."""

    distance_m: float
    angle_rad: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < math.inf:  # not `<=`: NaN has to fail too
                raise ConfigError(f"correction: {name} is {value}, must be positive")

    def __call__(self, distances: Float, angles: Float) -> Float:
        """0 to 1, of any shape, for such distances (metres) and angles (radians)."""
        values: Float = np.exp(-((distances / self.distance_m) ** 2 + (angles / self.angle_rad) ** 2) / 2)
        return values


@dataclass(frozen=True, eq=False)
class CorrectionField:
    """A smooth function of the viewpoint, the mean of a Gaussian process (simple kriging), that says by which step a
    pose near V views has to be moved: sum of k(pose, view) times the view's `coefficients` (V, 6).

    A step is as `pose_refinement.perturb` has it: metres and radians along the axes of the place. `poses` (V, 4, 4):
    map_from_camera of the views, each in the frame of its place; `places` (V,) int32: an index into `Manifest.places`.
    Raises ConfigError.
    """

    poses: Float
    coefficients: Float
    places: NDArray[np.int32]
    kernel: CorrectionKernel

    def __post_init__(self) -> None:
        n = len(self.coefficients)
        require_finite("correction: poses", self.poses, (n, 4, 4))
        require_finite("correction: coefficients", self.coefficients, (n, 6))
        require_finite("correction: places", self.places, (n,))
        if n == 0:
            raise ConfigError("correction: it has no views")
        if (view := first_not_rigid(self.poses)) is not None:
            raise ConfigError(f"correction: view {view} has {rigid_fault(self.poses[view])}")
        if (np.abs(self.poses[:, :3, 3]) > MAX_COORDINATE_M).any():
            raise ConfigError(f"correction: a view is more than {MAX_COORDINATE_M:g} m from the map's origin")
        if (large := np.abs(self.coefficients).max(axis=1) > MAX_COEFFICIENT).any():
            row = int(np.argmax(large))
            values = self.coefficients[row].tolist()
            raise ConfigError(f"correction: row {row} has the coefficients {values}, more than {MAX_COEFFICIENT:g}")

    def __len__(self) -> int:
        return len(self.coefficients)

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "CorrectionField":
        return CorrectionField(self.poses[rows], self.coefficients[rows], self.places[rows], self.kernel)

    def step(self, map_from_camera: Float) -> Float:
        """The step (6,) that corrects a camera's pose (4, 4); next to nothing where no view is near. All views count,
        of whatever place."""
        step: Float = self.kernel(*pose_distances(self.poses, map_from_camera)) @ self.coefficients
        return step
