"""Which points of a map are seen where in the views of a query."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.arrays import no_indices, require_finite
from vloc_ros.errors import ConfigError

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Correspondences:
    """2-D to 3-D correspondences: pixels (N, 2) in the undistorted image of a view, map points (N, 3) in metres, pixel
    sigma (N,) (one standard deviation per axis, > 0), landmark ids (N,); and of which of the query's `views` (N,) and
    of the map's `places` (N,) they are, as indices; `shifts` (N, 2): by how many pixels a point is seen elsewhere that
    is one standard deviation from where the map has it. Empty arrays of these three stand for zeros."""

    pixels: Float
    points: Float
    sigmas: Float
    landmark_ids: NDArray[np.int32]
    views: NDArray[np.int32] = field(default_factory=no_indices)
    places: NDArray[np.int32] = field(default_factory=no_indices)
    shifts: Float = field(default_factory=lambda: np.empty((0, 2)))

    def __post_init__(self) -> None:
        n = len(self.pixels)
        require_finite("correspondences: pixels", self.pixels, (n, 2))
        require_finite("correspondences: map points", self.points, (n, 3))
        require_finite("correspondences: pixel sigmas", self.sigmas, (n,))
        require_finite("correspondences: landmark ids", self.landmark_ids, (n,))
        for name in ("views", "places"):
            if not len(indices := getattr(self, name)):
                object.__setattr__(self, name, np.zeros(n, dtype=np.int32))
            elif indices.shape != (n,) or indices.min() < 0:
                raise ConfigError(f"correspondences: {name} are no {n} indices")
        if not len(self.shifts):
            object.__setattr__(self, "shifts", np.zeros((n, 2)))
        require_finite("correspondences: shifts", self.shifts, (n, 2))
        if n and float(self.sigmas.min()) <= 0:
            raise ConfigError(f"correspondences: pixel sigma {float(self.sigmas.min())} must be positive")

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, mask: NDArray[np.bool_] | NDArray[np.intp]) -> "Correspondences":
        return Correspondences(**{name: array[mask] for name, array in vars(self).items()})

    @staticmethod
    def joined(parts: Sequence["Correspondences"]) -> "Correspondences":
        """All of them, in order; the part itself where there is one."""
        if len(parts) < 2:
            return parts[0] if parts else Correspondences.empty()
        return Correspondences(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))

    @staticmethod
    def empty() -> "Correspondences":
        return Correspondences(np.empty((0, 2)), np.empty((0, 3)), np.empty(0), np.empty(0, dtype=np.int32))
