"""From where in a place, and looking which way, a camera would see enough of a map: said by the map itself, before a
robot depends on it. Walls and furniture in between are not known to it."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.nearest_view import distance_to_nearest_view
from vloc_ros.core.types import LandmarkMap
from vloc_ros.core.visibility import visible_points
from vloc_ros.evaluation.records import FrameRecord
from vloc_ros.evaluation.upright import upright_axes
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.rig import RigCamera

Float = NDArray[np.float64]

HEADINGS = 12
REACH_M = 1.0  # from where mapping images were taken: so far spots are judged
SPACING_M, MOST_SPOTS = 0.25, 400
SPARE = 2.0  # times the inliers that the gate asks for
HIDDEN_NAME = re.compile(r"views_hidden_within_\d+(\.\d+)?")  # in Manifest.accuracy, with the distance behind


@dataclass(frozen=True, eq=False)
class Coverage:
    """Of N spots, H level directions from each: `spots` (N, 3), as high as the mapping cameras near them, which are
    `off_path_m` (N,) away, seen from above; `looking` (H, 3) unit vectors; `points` (N, H): how many of the map's
    points would be in view; `away` (N, H): how far the nearest mapping view is, metres and radians in one, as
    `NearestView.view_distance`."""

    spots: Float
    off_path_m: Float
    looking: Float
    points: NDArray[np.int64]
    away: Float


def coverage_of(landmark_map: LandmarkMap, place: int) -> Coverage | None:
    """Of one place of a map; None of one without points, mapping views, or a camera that is known."""
    views, camera = landmark_map.views_of(landmark_map.manifest.place_names[place]), _camera(landmark_map, place)
    points = landmark_map.points
    if points is None or camera is None or not len(views) or not len(points.rows_of(place)):
        return None
    axes = upright_axes(landmark_map.of_place(landmark_map.manifest.place_names[place]))
    (spots, off_path), rig = _spots(views, axes), RigCamera(camera)
    tilt = float(np.arcsin(np.median(views[:, :3, 2] @ axes[2])))
    angles = np.arange(HEADINGS) * 2 * math.pi / HEADINGS
    looking = np.outer(np.cos(angles), axes[0]) + np.outer(np.sin(angles), axes[1])
    found = np.empty((len(spots), HEADINGS), dtype=np.int64)
    away = np.empty((len(spots), HEADINGS))
    for row, spot in enumerate(spots):
        for column, heading in enumerate(looking):
            pose = _looking(spot, heading, axes[2], tilt)
            found[row, column] = len(visible_points(points, place, rig, pose))
            away[row, column] = distance_to_nearest_view(views, pose)
    return Coverage(spots, off_path, looking, found, away)


def needed_points(landmark_map: LandmarkMap, place: int, held_out: Sequence[FrameRecord]) -> int | None:
    """How many points have to be in view for SPARE times the inliers that the gate asks for, as held-out frames have
    inliers of the points in their view; None where none has any."""
    camera, points = _camera(landmark_map, place), landmark_map.points
    if points is None or camera is None:
        return None
    shares = []
    for record in held_out:
        seen = visible_points(points, place, RigCamera(camera), record.true_map_from_camera)
        if record.solved is not None and len(seen):
            shares.append(record.solved.inliers / len(seen))
    if not shares or (share := float(np.median(shares))) == 0:
        return None
    return math.ceil(SPARE * landmark_map.manifest.gate.min_inliers / share)


def expected_errors(coverage: Coverage, accuracy: Mapping[str, Any], needed: int) -> Float:
    """For each spot (N,) the median error (m) of a pose from there, over the directions with enough points, as mapping
    frames were localized whose nearest mapping views were as far away; NaN where no direction has enough, or all are
    farther away than any of these."""
    known = sorted(_hidden(accuracy))
    if not known:
        return np.full(len(coverage.spots), np.nan)
    distances, errors = np.array(known).T
    found = np.interp(coverage.away, distances, errors, right=np.nan)
    found[coverage.points < needed] = np.nan
    return np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in found])


def _hidden(accuracy: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    """Distance and median error (m) of the mapping frames that were localized without nearer views; what else may stand
    in a map's accuracy, which is for people, is passed over."""
    for name, figures in accuracy.items():
        match figures:
            case {"median_translation_m": int() | float() as error} if HIDDEN_NAME.fullmatch(name):
                yield float(name.rpartition("_")[2]), float(error)


def _camera(landmark_map: LandmarkMap, place: int) -> Camera | None:
    """The pinhole camera that recorded a place, of images of the map's size."""
    manifest, (width, height) = landmark_map.manifest, landmark_map.manifest.image_size
    lens = manifest.lenses.get(manifest.place_names[place])
    if lens is not None:
        return Camera(width, height, lens.fx, lens.fy, lens.cx, lens.cy)
    if manifest.field_of_view_deg is None:
        return None
    focal = width / 2 / math.tan(math.radians(min(manifest.field_of_view_deg) / 2))
    return Camera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def _spots(views: Float, axes: Float) -> tuple[Float, Float]:
    """A grid (N, 3) of at most MOST_SPOTS positions no farther from a mapping camera than REACH_M, seen from above, and
    how far (N,) that is."""
    cameras = views[:, :3, 3] @ axes.T
    low, high = cameras[:, :2].min(axis=0) - REACH_M, cameras[:, :2].max(axis=0) + REACH_M
    spacing = SPACING_M
    while True:
        along, across = (np.arange(a, b + spacing / 2, spacing) for a, b in zip(low, high, strict=True))
        grid = np.stack(np.meshgrid(along, across), axis=-1).reshape(-1, 2)
        offsets = np.linalg.norm(grid[:, None] - cameras[None, :, :2], axis=2)
        near = offsets.min(axis=1) <= REACH_M
        if near.sum() <= MOST_SPOTS:
            heights = cameras[offsets[near].argmin(axis=1), 2]
            return np.column_stack([grid[near], heights]) @ axes, offsets[near].min(axis=1)
        spacing *= 1.2


def _looking(spot: Float, heading: Float, up: Float, tilt: float) -> Float:
    """The pose (4, 4) of an upright camera that looks along a level heading, tilted upwards."""
    forward = math.cos(tilt) * heading + math.sin(tilt) * up
    right = np.cross(heading, up)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = spot
    return pose
