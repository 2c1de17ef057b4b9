"""How much of what should be seen from a pose an image shows: of places that look alike, the right one has more of it.

Inliers say what agrees with a place. That is as much in a room with the same furniture as in the right one; but of what
the map of the wrong room has on its walls, nothing is there.
"""

import numpy as np

from vloc_ros.core.guided_matching import best_in_windows
from vloc_ros.core.method import Observation
from vloc_ros.core.types import LandmarkMap, PoseEstimate
from vloc_ros.methods.guided_refinement import points_in_view
from vloc_ros.methods.query_key_points import query_key_points

WINDOW_PX = 4.0  # from where a point is expected to the key point that shows it, in the image that these are found in
MIN_SIMILARITY = 0.8  # the least cosine of the two
FEW = 10  # points say little, even where all of them are found


def found_share(solved: PoseEstimate, observation: Observation, landmark_map: LandmarkMap) -> float:
    """Which share, 0 to 1, of the map's points that should be in view is found; where they are fewer than FEW, of so
    many. Points that something hides count as well: in two places that look alike, they are the same ones."""
    points, place = landmark_map.points, landmark_map.manifest.index_of(solved.place)
    if points is None or place is None:
        return 0.0
    expected_count = found_count = 0
    for seen in query_key_points(observation, landmark_map):
        visible, expected, _ = points_in_view(seen, points, place, solved.map_from_camera)
        radii = np.full(len(visible), WINDOW_PX * seen.scale)
        described = seen.pixels_in(place), seen.descriptors, points.unit_descriptors
        found = best_in_windows(*described, visible, expected, radii, MIN_SIMILARITY)
        expected_count += len(visible)
        found_count += int((found.best >= 0).sum())
    return found_count / max(expected_count, FEW)
