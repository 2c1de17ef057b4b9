"""How well the map of a place explains an image from a pose: of places that look alike, the right one explains most.

Inliers say what agrees with a place. That is as much in a room with the same furniture as in the right one; but what
the map of the wrong room has on its walls is not there, and it does not have what hangs there.
"""

import math

import numpy as np

from vloc_ros.core.guided_matching import best_in_windows
from vloc_ros.core.method import Observation
from vloc_ros.core.types import LandmarkMap, PoseEstimate
from vloc_ros.methods.guided_refinement import points_in_view
from vloc_ros.methods.query_key_points import query_key_points

WINDOW_PX = 4.0  # from where a point is expected to the key point that shows it, in the image that these are found in
LEAST = 0.75  # cosine of the two, of which nothing counts; of 1 all of it
FEW = 10  # points, or key points, say little, even where all of them are found


def explained(solved: PoseEstimate, observation: Observation, landmark_map: LandmarkMap) -> float:
    """The geometric mean, 0 to 1, of the share that is found of the map's points that should be in view, and of the
    share of the image's key points that are such points; each counts as far as the two look alike, and where they are
    fewer than FEW, they are a share of so many. Points that something hides count as well: in two places that look
    alike, they are the same ones."""
    points, place = landmark_map.points, landmark_map.manifest.index_of(solved.place)
    if points is None or place is None:
        return 0.0
    found = shown = 0.0
    expected_count = key_point_count = 0
    for seen in query_key_points(observation, landmark_map):
        visible, expected, _ = points_in_view(seen, points, place, solved.map_from_camera)
        radii = np.full(len(visible), WINDOW_PX * seen.scale)
        described = seen.pixels_in(place), seen.descriptors, points.unit_descriptors
        matches = best_in_windows(*described, visible, expected, radii, LEAST)
        rows = np.flatnonzero(matches.best >= 0)
        pairs = seen.descriptors[matches.best[rows]], points.unit_descriptors[visible[rows]]
        found += float((np.einsum("ij,ij->i", *pairs) - LEAST).sum())
        shown += float((matches.similarities[matches.nearest >= 0] - LEAST).sum())
        expected_count += len(visible)
        key_point_count += len(seen.pixels)
    shares = found / max(expected_count, FEW), shown / max(key_point_count, FEW)
    return math.sqrt(shares[0] * shares[1]) / (1 - LEAST)
