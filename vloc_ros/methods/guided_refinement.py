"""The refinement that every method shares whose map has points: guided matching of these around the pose."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.guided_matching import GuidedSettings, guided_matches
from vloc_ros.core.method import Observation
from vloc_ros.core.points import Float, Points
from vloc_ros.core.types import LandmarkMap, PoseEstimate
from vloc_ros.core.visibility import visible_points
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.methods.query_key_points import ViewKeyPoints, query_key_points

MIN_DEPTH_M = 0.05


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
        visible, expected, camera_from_map = points_in_view(seen, points, place, estimate.map_from_camera)
        window_px, pixels = window * seen.scale, seen.pixels_in(place)
        key_points, rows, similarities = guided_matches(
            pixels, seen.descriptors, points, visible, expected, window_px, settings.min_similarity
        )
        shifts = point_shifts(points, rows, seen.camera.camera, camera_from_map)
        found.append(seen.correspondences(key_points, rows, similarities, landmark_map, shifts))
    return Correspondences.joined(found)


def points_in_view(
    seen: ViewKeyPoints, points: Points, place: int, map_from_rig: Float
) -> tuple[NDArray[np.intp], Float, Float]:
    """Rows (V,) of the points of a place that a view may see, its pixels (V, 2) where they are expected, and where the
    view is, `camera_from_map`, if the rig is at this pose."""
    visible = visible_points(points, place, seen.camera, map_from_rig)
    camera_from_map = invert(seen.camera.map_from_camera(map_from_rig))
    expected, _ = seen.camera.camera.project(apply(camera_from_map, points.positions[visible]))
    return visible, expected, camera_from_map


def point_shifts(points: Points, rows: NDArray[np.intp], camera: Camera, camera_from_map: Float) -> Float:
    """By how many pixels (M, 2) of an undistorted image each of the points `rows` (M,) is seen elsewhere if it is one
    standard deviation from where the map has it: along its direction, so that a camera there sees no difference, and
    one far from there much."""
    local = apply(camera_from_map, points.positions[rows])
    moves = (points.directions[rows] * points.sigmas[rows, None]) @ camera_from_map[:3, :3].T
    depths = np.maximum(local[:, 2:], MIN_DEPTH_M)
    shifts: Float = (moves[:, :2] - local[:, :2] / depths * moves[:, 2:]) / depths * (camera.fx, camera.fy)
    return shifts
