"""Which place an image shows, where a map is of several, and where the places lie in the map's own frame."""

from dataclasses import replace

import numpy as np

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.types import LandmarkMap, PoseEstimate
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.transforms import Matrix, apply, from_pose_vector, turned_covariance


def likeliest_place(correspondences: Correspondences, landmark_map: LandmarkMap) -> tuple[str | None, Correspondences]:
    """The place that the correspondences speak for most, and those of them that are with its landmarks.

    Each weighs the inverse of its variance, as in the pose; for a method whose variance is the inverse of a confidence
    that is the sum of confidences. None and all of them for a map of one place, and where there are none. Raises
    ConfigError for a place that the map has not.
    """
    places, found = landmark_map.manifest.places, correspondences.places
    if len(found) and (last := int(found.max())) >= len(places):
        raise ConfigError(f"correspondences: place {last}, of {len(places)} from 0")
    if len(places) == 1 or not len(correspondences):
        return None, correspondences
    likeliest = int(np.argmax(np.bincount(found, weights=correspondences.sigmas**-2)))
    return places[likeliest].name, correspondences[found == likeliest]


def map_from_place(manifest: Manifest, place: str | None) -> Matrix | None:
    """Where a place lies in the map's own frame (4, 4), metres; None where that is not known. Raises ConfigError where
    there is no such place."""
    pose = manifest.place_of(place).map_from_place
    return None if pose is None else from_pose_vector(pose)


def unplaced(manifest: Manifest) -> Manifest:
    """The same as if nothing was known of where its places lie in the map's own frame."""
    return replace(manifest, places=tuple(replace(place, map_from_place=None) for place in manifest.places))


def in_map_frame(estimate: PoseEstimate, manifest: Manifest) -> PoseEstimate:
    """The pose, its covariance and its correspondences in the map's own frame, where it is known how the place lies in
    it; else as they are, in the place's."""
    moved = map_from_place(manifest, estimate.place)
    if moved is None:
        return estimate
    found = estimate.correspondences
    return replace(
        estimate,
        map_from_camera=moved @ estimate.map_from_camera,
        covariance=turned_covariance(estimate.covariance, moved),
        correspondences=replace(found, points=apply(moved, found.points)),
    )
