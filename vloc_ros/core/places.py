"""Which place an image shows, where a map is of several."""

import numpy as np

from vloc_ros.core.types import Correspondences, LandmarkMap
from vloc_ros.errors import ConfigError


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
