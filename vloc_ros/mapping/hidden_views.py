"""The points of a map as they would be if some of its mapping views had never been taken.

Tomorrow's views are taken where the map has none. Localizing a mapping view in what the views away from it know of the
place imitates that, without mapping the place again: what was observed from near it is left out of positions and
descriptors, and points that only views near it have seen are left out altogether. Poses stay as they were adjusted.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from vloc_ros.core.points import Points
from vloc_ros.features.cache import FeatureCache
from vloc_ros.mapping.depth_calibration import DepthCorrection
from vloc_ros.mapping.frame_features import quantized
from vloc_ros.mapping.observations import Observations, depth_weights
from vloc_ros.mapping.point_regions import of_points
from vloc_ros.mapping.point_selection import point_descriptors, sigmas_far_away, viewing
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.mapping.tracks import MIN_LENGTH
from vloc_ros.mapping.triangulation import refined_positions, sigmas

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]

SETTLED_M = 1e-4  # of a point that was made again: a tenth of what its position is known by
SAME_M = 1e-6  # between a point of the map and the point of the reconstruction that it is


@dataclass(frozen=True, eq=False)
class ObservedPoints:
    """P points of one place of a map, with the O observations that they were made of and the `descriptors` (O, D) of
    these, int8, 127 times the float. map_from_camera (F, 4, 4): of the frames, as the map has them."""

    points: Points
    observations: Observations
    descriptors: NDArray[np.int8]
    map_from_camera: Float

    def without(self, hidden: Mask, asked: Mask | None = None) -> Points | None:
        """The points as frames that are not `hidden` (F,) have seen them, those that enough of these have; None if
        there are none. `asked` (P,): only these are made anew, the others stay
        as they are, which saves time where it does not matter."""
        seen = ~hidden[self.observations.frames]
        left = self.observations.kept(seen)
        there = left.counts >= MIN_LENGTH
        if not there.any():
            return None
        changed = there & (left.counts < self.observations.counts)
        changed &= True if asked is None else asked
        if not changed.any():
            return self.points[there]
        hidden_rows = ~seen & changed[self.observations.points]
        return self._seen_again(left.of_points(changed), hidden_rows, changed)[there]

    def _seen_again(self, observations: Observations, hidden: Mask, changed: Mask) -> Points:
        """All points, those `changed` (P,) made of `observations` alone, without those `hidden` (O,)."""
        start = self.points.positions[changed]
        positions, information = refined_positions(observations, self.map_from_camera, start, SETTLED_M)
        uncertain = sigmas_far_away(sigmas(information), observations.counts)
        sums = self._descriptor_sums[changed]
        rows = np.flatnonzero(hidden)
        _, firsts = np.unique(self.observations.points[rows], return_index=True)  # every changed point has some
        sums -= np.add.reduceat(self.descriptors[rows].astype(np.float32), firsts, axis=0)
        means = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.float32(1e-9))
        descriptors = quantized(means) if self.points.descriptors.dtype == np.int8 else means
        directions, distances = viewing(observations.frames, observations.points, positions, self.map_from_camera)
        again = {
            "positions": positions,
            "descriptors": descriptors,
            "directions": directions,
            "distances": distances,
            "sigmas": uncertain,
        }
        return replace(self.points, **{name: self._with(name, changed, values) for name, values in again.items()})

    @cached_property
    def _descriptor_sums(self) -> NDArray[np.float32]:
        """(P, D) of all observations of each point."""
        return np.add.reduceat(self.descriptors.astype(np.float32), self.observations.starts[:-1], axis=0)

    def _with(self, name: str, rows: Mask, values: NDArray[Any]) -> Any:
        """The points' array of that name with others in some rows (P,)."""
        result = getattr(self.points, name).copy()
        result[rows] = values
        return result


def observed_points(
    points: Points, reconstruction: Reconstruction, features: FeatureCache, depth: DepthCorrection | None
) -> ObservedPoints:
    """The points of one place of a map, in the order of the reconstruction that they were chosen from; `features` and
    `depth` correction: those that it was made of."""
    chosen = np.zeros(len(reconstruction), dtype=np.bool_)
    chosen[_rows_of(points, reconstruction, features)] = True
    assert chosen.sum() == len(points)
    found = of_points(reconstruction, chosen)
    frames, key_points = found.frames, found.rows
    measured = features.depths[frames, key_points]
    depths = np.zeros(len(frames)) if depth is None else depth.apply(measured).astype(np.float64)
    descriptors = features.descriptors[frames, key_points].astype(np.float32)
    observations = Observations(
        starts=np.searchsorted(found.points, np.arange(len(found) + 1)),
        frames=frames,
        rows=key_points.astype(np.int64),
        pixels=found.pixels,
        depths=depths,
        weights=depth_weights(depths),
        intrinsics=found.intrinsics,
    )
    unit = descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)
    return ObservedPoints(points, observations, quantized(unit), found.map_from_camera)


def _rows_of(points: Points, reconstruction: Reconstruction, features: FeatureCache) -> NDArray[np.intp]:
    """Where in the reconstruction the points (P,) are: there are several at one position where a key point is described
    in several orientations, which only their descriptors tell apart."""
    found = cKDTree(reconstruction.positions).query_ball_point(points.positions, SAME_M)
    rows = np.array([each[0] for each in found])
    several = [point for point, each in enumerate(found) if len(each) > 1]
    if several:
        asked = np.unique(np.concatenate([found[point] for point in several]))
        means = dict(zip(asked.tolist(), point_descriptors(reconstruction, features, asked), strict=True))
        for point in several:
            rows[point] = max(found[point], key=lambda row: float(means[row] @ points.unit_descriptors[point]))
    return rows
