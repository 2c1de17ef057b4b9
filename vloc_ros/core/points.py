"""Points of a map that can be matched with the key points of an image by their descriptors."""

from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.arrays import require_finite
from vloc_ros.core.descriptor_index import DescriptorIndex
from vloc_ros.core.manifest import MAX_COORDINATE_M, UNIT_TOLERANCE
from vloc_ros.errors import ConfigError

Float = NDArray[np.float64]

DESCRIPTORS = (np.dtype(np.float16), np.dtype(np.int8))  # of descriptors; int8: 127 times the float


@dataclass(frozen=True, eq=False)
class Points:
    """P points, metres, each in the frame of its place.

    positions (P, 3); descriptors (P, D) float16, or int8 that stands for 127 times the float; regions (P,) int32: the
    row of the map's landmarks that each belongs to; places (P,) int32: an index into `Manifest.places`; directions
    (P, 3): unit vectors from the point to where it was seen from, on average; distances (P, 2): the smallest and the
    largest from which it was seen; sigmas (P,): the standard deviation of where it is along its direction, in metres,
    colors (P, 3) uint8: RGB of what is around it, zeros where that is not known. Of the last two, an empty array stands
    for zeros. Raises ConfigError.
    """

    positions: Float
    descriptors: NDArray[np.float16] | NDArray[np.int8]
    regions: NDArray[np.int32]
    places: NDArray[np.int32]
    directions: Float
    distances: Float
    sigmas: Float = field(default_factory=lambda: np.empty(0))
    colors: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 3), dtype=np.uint8))

    def __post_init__(self) -> None:
        n = len(self.positions)
        require_finite("points: positions", self.positions, (n, 3))
        require_finite("points: descriptors", self.descriptors, (n, None))
        require_finite("points: regions", self.regions, (n,))
        require_finite("points: places", self.places, (n,))
        require_finite("points: directions", self.directions, (n, 3))
        require_finite("points: distances", self.distances, (n, 2))
        if not len(self.sigmas):
            object.__setattr__(self, "sigmas", np.zeros(n))
        require_finite("points: sigmas", self.sigmas, (n,))
        if not len(self.colors):
            object.__setattr__(self, "colors", np.zeros((n, 3), dtype=np.uint8))
        require_finite("points: colors", self.colors, (n, 3))
        if self.colors.dtype != np.uint8:
            raise ConfigError(f"points: colors are {self.colors.dtype}, expected uint8")
        if n == 0 or self.descriptors.dtype not in DESCRIPTORS or not self.descriptors.shape[1]:
            kind = f"{self.descriptors.dtype} {self.descriptors.shape}"
            raise ConfigError(f"points: descriptors are {kind}, expected (P, D) float16 or int8")
        lengths = np.linalg.norm(np.clip(self.directions, -2, 2), axis=1)
        nearest, farthest = self.distances.T
        for what, values, impossible in (
            ("position", self.positions, (np.abs(self.positions) > MAX_COORDINATE_M).any(axis=1)),
            ("direction", self.directions, np.abs(lengths - 1) > UNIT_TOLERANCE),
            ("distances", self.distances, (nearest < 0) | (farthest < nearest) | (farthest > MAX_COORDINATE_M)),
            ("sigma", self.sigmas, (self.sigmas < 0) | (self.sigmas > MAX_COORDINATE_M)),
        ):
            if impossible.any():
                row = int(np.argmax(impossible))
                raise ConfigError(f"points: row {row} has the {what} {values[row].tolist()}, which cannot be")

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Points":
        return Points(**{each.name: getattr(self, each.name)[rows] for each in fields(self)})

    @cached_property
    def unit_descriptors(self) -> NDArray[np.float32]:
        """The descriptors (P, D) as they are compared, of length 1; those of zero length stay as they are."""
        real = self.descriptors.astype(np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", real, real))[:, np.newaxis]
        unit: NDArray[np.float32] = real / np.where(lengths > 0, lengths, np.float32(1))
        return unit

    @cached_property
    def descriptor_index(self) -> DescriptorIndex:
        """To find which points' descriptors are most similar to those of key points."""
        return DescriptorIndex.of(self.unit_descriptors)

    def rows_of(self, place: int) -> NDArray[np.intp]:
        """The points of a place, as an index into `Manifest.places`; none of one that has no points."""
        return self._rows_by_place.get(place, np.empty(0, dtype=np.intp))

    def rows_in(self, region: int) -> NDArray[np.intp]:
        """The points of a region: a row of the map's landmarks."""
        return self._rows_by_region.get(region, np.empty(0, dtype=np.intp))

    @cached_property
    def _rows_by_place(self) -> dict[int, NDArray[np.intp]]:
        return _rows_by_value(self.places)

    @cached_property
    def _rows_by_region(self) -> dict[int, NDArray[np.intp]]:
        return _rows_by_value(self.regions)


def _rows_by_value(values: NDArray[np.int32]) -> dict[int, NDArray[np.intp]]:
    order = np.argsort(values, kind="stable")
    found, starts = np.unique(values[order], return_index=True)
    return dict(zip(found.tolist(), np.split(order, starts[1:]), strict=True))
