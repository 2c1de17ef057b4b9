"""The volume that a map spans, outside of which no pose is believed."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from vloc_ros.geometry.transforms import Matrix

# Both are shares of the map's size, the diagonal of the box around it. A pose may be so far outside of the volume:
MARGIN = 0.03
# Or so near a mapping view, wherever that is: in the map of one side of a place, the views are the volume's edge, and
# one may stand farther back. Farther than this from all views, a network recognises nothing any more.
NEAR_A_VIEW = 0.3

# Half of the 26 directions from a cube's centre to its corners, edges and faces. What lies between the two planes that
# touch the points across each of them is nearly their convex hull.
_HALF = [way for way in product((-1.0, 0.0, 1.0), repeat=3) if way > (0.0, 0.0, 0.0)]
DIRECTIONS = np.array(_HALF) / np.linalg.norm(_HALF, axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Extent:
    """The volume between `low` and `high` (13,), metres along DIRECTIONS, with the positions (V, 3) of the views."""

    low: Matrix
    high: Matrix
    views: Matrix
    size: float

    @staticmethod
    def of(landmarks: Matrix, views: Matrix) -> "Extent":
        """What landmarks (N, 3) and views (V, 3) span, at least one of them."""
        points = np.concatenate([landmarks, views])
        along = points @ DIRECTIONS.T
        return Extent(along.min(axis=0), along.max(axis=0), views, float(np.linalg.norm(np.ptp(points, axis=0))))

    def outside_m(self, position: Matrix) -> float:
        """How far outside a position (3,) is; 0 inside of the volume with its margin, and near a view."""
        along = DIRECTIONS @ position
        outside_m = float(np.maximum(self.low - along, along - self.high).max())
        if outside_m <= MARGIN * self.size:
            return 0.0
        nearest_m = float(np.linalg.norm(self.views - position, axis=1).min(initial=np.inf))
        return 0.0 if nearest_m <= NEAR_A_VIEW * self.size else outside_m
