"""Where in a map the key points of a query are looked for, one proposal after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.points import Points
from vloc_ros.core.query import Prior
from vloc_ros.core.types import Correspondences, LandmarkMap, worst_sigma
from vloc_ros.core.visibility import Uncertainty, visible_points
from vloc_ros.errors import ConfigError
from vloc_ros.methods.pram.matching import mutual_nearest, mutual_nearest_within
from vloc_ros.methods.pram.recognition import Recognized, landmark_confidences
from vloc_ros.methods.query_key_points import ViewKeyPoints

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class SearchSettings:
    """`key_points`: so many of a view's best ones are matched with points that nothing but descriptors tell apart;
    `min_similarity`: the least cosine of descriptors. `landmarks`: so many of the likeliest are tried together, and
    `max_places` of the likeliest places. `prior_sigmas`: how far a pose may be from the prior. Raises ConfigError for
    what makes no sense."""

    key_points: int = 512
    min_similarity: float = 0.8
    landmarks: int = 16
    max_places: int = 2
    prior_sigmas: float = 1.5

    def __post_init__(self) -> None:
        for name in ("key_points", "landmarks", "max_places"):
            if getattr(self, name) < 1:
                raise ConfigError(f"search: {name} is {getattr(self, name)}, must be positive")
        if not -1 <= self.min_similarity <= 1:
            raise ConfigError(f"search: min_similarity is {self.min_similarity}, must be in -1 .. 1")
        if not self.prior_sigmas >= 0:
            raise ConfigError(f"search: prior_sigmas is {self.prior_sigmas}, must not be negative")


def near_prior(
    views: Sequence[ViewKeyPoints], prior: Prior, landmark_map: LandmarkMap, settings: SearchSettings
) -> Correspondences:
    """Matches with the points that can be seen from where the prior may be.

    By descriptors alone, wherever in the image they are: a pose from them has the same evidence as one without a prior.
    """
    points, place = _points(landmark_map), landmark_map.manifest.index_of(prior.place or None)
    if place is None:
        return Correspondences.empty()
    sigmas = worst_sigma(prior.covariance[:3, :3]), worst_sigma(prior.covariance[3:, 3:])
    uncertainty = Uncertainty(*(settings.prior_sigmas * sigma for sigma in sigmas))
    found = []
    for seen in views:
        visible = visible_points(points, place, seen.camera, prior.map_from_rig, uncertainty)
        found.append(_matched(seen, visible, landmark_map, settings))
    return Correspondences.joined(found)


def by_landmarks(
    views: Sequence[ViewKeyPoints],
    recognized: Sequence[Recognized],
    landmark_map: LandmarkMap,
    settings: SearchSettings,
) -> Iterator[Correspondences]:
    """Matches inside recognised landmarks (algorithm 1): of the likeliest places, the likeliest landmarks together,
    then all of them."""
    confidences = landmark_confidences(recognized, len(landmark_map))
    of_places = np.bincount(landmark_map.places, weights=confidences)
    for place in np.argsort(-of_places, kind="stable")[: settings.max_places]:
        here = np.flatnonzero((landmark_map.places == place) & (confidences > 0))
        here = here[np.argsort(-confidences[here], kind="stable")]
        for count in sorted({min(settings.landmarks, len(here)), len(here)} - {0}):
            yield _matched_within(views, recognized, here[:count], landmark_map, settings)


def everywhere(
    views: Sequence[ViewKeyPoints], landmark_map: LandmarkMap, settings: SearchSettings
) -> Iterator[Correspondences]:
    """Matches with all points, by place, that of most matches first."""
    rows = np.arange(len(_points(landmark_map)))
    found = Correspondences.joined([_matched(seen, rows, landmark_map, settings) for seen in views])
    counts = np.bincount(found.places, minlength=1)
    for place in np.argsort(-counts, kind="stable")[: settings.max_places]:
        yield found[found.places == place]


def _matched(seen: ViewKeyPoints, among: Rows, landmark_map: LandmarkMap, settings: SearchSettings) -> Correspondences:
    references = _points(landmark_map).unit_descriptors
    if len(among) < len(references):
        references = references[among]
    rows, matched = mutual_nearest(seen.descriptors[: settings.key_points], references, settings.min_similarity)
    return seen.correspondences(rows, among[matched], landmark_map)


def _matched_within(
    views: Sequence[ViewKeyPoints],
    recognized: Sequence[Recognized],
    landmarks: Rows,
    landmark_map: LandmarkMap,
    settings: SearchSettings,
) -> Correspondences:
    points = _points(landmark_map)
    found = []
    for seen, said in zip(views, recognized, strict=True):
        groups = (
            (asked, among)
            for landmark in landmarks.tolist()
            if len(asked := np.flatnonzero((said.landmarks == landmark).any(axis=1)))
            and len(among := points.rows_in(landmark))
        )
        rows, matched = mutual_nearest_within(
            seen.descriptors, points.unit_descriptors, groups, settings.min_similarity
        )
        found.append(seen.correspondences(rows, matched, landmark_map))
    return Correspondences.joined(found)


def _points(landmark_map: LandmarkMap) -> Points:
    assert landmark_map.points is not None  # `PRAMMethod.check` has seen them
    return landmark_map.points
