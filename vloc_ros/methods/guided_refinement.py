"""The refinement that every method shares whose map has points: guided matching of these around the pose."""

from vloc_ros.core.guided_matching import GuidedSettings, guided_matches
from vloc_ros.core.method import Observation
from vloc_ros.core.types import Correspondences, LandmarkMap, PoseEstimate
from vloc_ros.core.visibility import visible_points
from vloc_ros.methods.query_key_points import query_key_points

SIGMA_PX = 1.0  # of a key point and of where its point is projected, an axis, in the image that it was found in


def guided_correspondences(
    estimate: PoseEstimate, observation: Observation, landmark_map: LandmarkMap, settings: GuidedSettings
) -> Correspondences | None:
    """Those of all views with the points of the estimate's place; None of a map without points."""
    points, place = landmark_map.points, landmark_map.manifest.index_of(estimate.place)
    if points is None or place is None:
        return None
    found = []
    for seen in query_key_points(observation, landmark_map):
        visible = visible_points(points, place, seen.camera, estimate.map_from_camera)
        window_px = settings.window_px * seen.scale
        rows, matched = guided_matches(
            seen.pixels, seen.descriptors, points, visible, window_px, settings.min_similarity
        )
        found.append(seen.correspondences(rows, points, matched, landmark_map, SIGMA_PX))
    return Correspondences.joined(found)
