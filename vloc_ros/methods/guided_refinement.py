"""The refinement that every method shares whose map has points: guided matching of these around the pose."""

from vloc_ros.core.guided_matching import GuidedSettings, guided_matches
from vloc_ros.core.method import Observation
from vloc_ros.core.types import Correspondences, LandmarkMap, PoseEstimate
from vloc_ros.core.visibility import visible_points
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.methods.query_key_points import query_key_points


def guided_correspondences(
    estimate: PoseEstimate, observation: Observation, landmark_map: LandmarkMap, settings: GuidedSettings
) -> Correspondences | None:
    """Those of all views with the points of the estimate's place, in wide windows unless it comes of guided matching
    itself; None of a map without points."""
    points, place = landmark_map.points, landmark_map.manifest.index_of(estimate.place)
    if points is None or place is None:
        return None
    window, found = settings.wide_px if estimate.unguided is None else settings.window_px, []
    for seen in query_key_points(observation, landmark_map):
        visible = visible_points(points, place, seen.camera, estimate.map_from_camera)
        camera_from_map = invert(seen.camera.map_from_camera(estimate.map_from_camera))
        expected, _ = seen.camera.camera.project(apply(camera_from_map, points.positions[visible]))
        window_px, pixels = window * seen.scale, seen.pixels_in(place)
        found.append(
            seen.correspondences(
                *guided_matches(
                    pixels, seen.descriptors, points, visible, expected, window_px, settings.min_similarity
                ),
                landmark_map,
            )
        )
    return Correspondences.joined(found)
