"""Where in a map the key points of a query are looked for, one proposal after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vloc_ros.core.points import Points
from vloc_ros.core.query import Prior
from vloc_ros.core.types import Correspondences, LandmarkMap, worst_sigma
from vloc_ros.core.visibility import Uncertainty, visible_points
from vloc_ros.errors import ConfigError
from vloc_ros.methods.pram.matching import Float32, Rows, mutual_nearest, mutual_nearest_within, nearest_of
from vloc_ros.methods.pram.recognition import Recognized, landmark_confidences
from vloc_ros.methods.query_key_points import ViewKeyPoints

CONFIRMED = 32  # of the matches near a prior, so many are compared with the whole map
MIN_CONFIRMED = 0.6  # of these; measured: above 0.8 with right priors, below 0.35 at wrong doors of a corridor


@dataclass(frozen=True)
class SearchSettings:
    """key_points: so many of a view's best ones are matched with points that only descriptors tell apart: more cost
    time, and tell right from wrong no better. min_similarity: the least cosine of descriptors. landmarks: so many are
    tried together, the likeliest first, and groups of so many in each of the max_places likeliest places. prior_sigmas:
    how far the pose may be from the prior. Raises ConfigError for what makes no sense.
    """

    key_points: int = 512
    min_similarity: float = 0.85
    landmarks: int = 16
    groups: int = 2
    max_places: int = 2
    prior_sigmas: float = 1.5

    def __post_init__(self) -> None:
        for name in ("key_points", "landmarks", "groups", "max_places"):
            if getattr(self, name) < 1:
                raise ConfigError(f"search: {name} is {getattr(self, name)}, must be positive")
        if not -1 <= self.min_similarity <= 1:
            raise ConfigError(f"search: min_similarity is {self.min_similarity}, must be in -1 .. 1")
        if not self.prior_sigmas >= 0:
            raise ConfigError(f"search: prior_sigmas is {self.prior_sigmas}, must not be negative")


@dataclass(frozen=True, eq=False)
class Search:
    """Looks for the key points of a query's views among the points of a map, which has some.

    By descriptors alone, wherever in the image they are. So all poses are found with the same kind of evidence, near a
    prior or not.
    """

    views: Sequence[ViewKeyPoints]
    landmark_map: LandmarkMap
    settings: SearchSettings

    @property
    def points(self) -> Points:
        assert self.landmark_map.points is not None
        return self.landmark_map.points

    def near(self, prior: Prior) -> Correspondences:
        """Matches with the points that can be seen from where the prior may be; none of a place that the map lacks.

        None either where too few of a sample of them are the best ones of the whole map: what can be seen from a wrong
        prior may look like what the image shows, such as another door of a corridor.
        """
        place = self.landmark_map.manifest.index_of(prior.place or None)
        if place is None:
            return Correspondences.empty()
        sigmas = worst_sigma(prior.covariance[:3, :3]), worst_sigma(prior.covariance[3:, 3:])
        uncertainty = Uncertainty(*(self.settings.prior_sigmas * sigma for sigma in sigmas))
        found, best_of_all = [], []
        for seen in self.views:
            visible = visible_points(self.points, place, seen.camera, prior.map_from_rig, uncertainty)
            descriptors = seen.descriptors[: self.settings.key_points]
            key_points, matched, similarities = self._mutual_nearest(descriptors, visible)
            found.append(seen.correspondences(key_points, visible[matched], similarities, self.landmark_map))
            sample = np.linspace(0, len(matched) - 1, min(CONFIRMED, len(matched))).astype(np.intp)
            best, _ = nearest_of(descriptors[key_points[sample]], self.points.unit_descriptors)
            best_of_all.append(best == visible[matched[sample]])
        ambiguous = np.concatenate(best_of_all).sum() < MIN_CONFIRMED * sum(map(len, best_of_all))
        return Correspondences.empty() if ambiguous else Correspondences.joined(found)

    def by_landmarks(self, recognized: Sequence[Recognized]) -> Iterator[Correspondences]:
        """Matches inside recognised landmarks (algorithm 1), `recognized` by view: of the likeliest places, the
        likeliest landmarks together, then the next ones."""
        confidences = landmark_confidences(recognized, len(self.landmark_map))
        of_places = np.bincount(self.landmark_map.places, weights=confidences)
        for place in np.argsort(-of_places, kind="stable")[: self.settings.max_places]:
            here = np.flatnonzero((self.landmark_map.places == place) & (confidences > 0))
            here = here[np.argsort(-confidences[here], kind="stable")]
            together = self.settings.landmarks
            for start in range(0, min(len(here), self.settings.groups * together), together):
                yield self._matched_within(recognized, here[start : start + together])

    def everywhere(self) -> Iterator[Correspondences]:
        """Matches of the best key points with all points, by place, that of most matches first."""
        parts = [(seen, self._mutual_nearest(seen.descriptors[: self.settings.key_points])) for seen in self.views]
        found = Correspondences.joined([seen.correspondences(*pairs, self.landmark_map) for seen, pairs in parts])
        counts = np.bincount(found.places, minlength=1)
        for place in np.argsort(-counts, kind="stable")[: self.settings.max_places]:
            yield found[found.places == place]

    def _mutual_nearest(self, descriptors: Float32, rows: Rows | None = None) -> tuple[Rows, Rows, Float32]:
        """`mutual_nearest` with all points, or with those in these rows, as indices into them."""
        references = self.points.unit_descriptors
        return mutual_nearest(
            descriptors, references if rows is None else references[rows], self.settings.min_similarity
        )

    def _matched_within(self, recognized: Sequence[Recognized], landmarks: Rows) -> Correspondences:
        """Of all key points with the points of those of these landmarks that they may belong to."""
        found = []
        for seen, said in zip(self.views, recognized, strict=True):
            groups = (
                (asked, among)
                for landmark in landmarks.tolist()
                if len(asked := np.flatnonzero((said.landmarks == landmark).any(axis=1)))
                and len(among := self.points.rows_in(landmark))
            )
            pairs = mutual_nearest_within(
                seen.descriptors, self.points.unit_descriptors, groups, self.settings.min_similarity
            )
            found.append(seen.correspondences(*pairs, self.landmark_map))
        return Correspondences.joined(found)
