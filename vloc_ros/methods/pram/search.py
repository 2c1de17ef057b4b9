"""Where in a map the key points of a query are looked for, one proposal after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.points import Points
from vloc_ros.core.query import Prior
from vloc_ros.core.types import LandmarkMap, worst_sigma
from vloc_ros.core.visibility import Uncertainty, visible_points
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.pnp import Float, Matches, PnpSettings, ransac, reprojection_errors
from vloc_ros.methods.pram.matching import Float32, Rows, mutual_nearest_indexed, mutual_nearest_within
from vloc_ros.methods.pram.recognition import Recognized, landmark_confidences
from vloc_ros.methods.pram.windows import mutual_nearest_in_windows, windows
from vloc_ros.methods.query_key_points import ViewKeyPoints

# Where some matches agree on a pose, the others are looked for so near to where it puts their points.
NARROW = Uncertainty(0.0, float(np.radians(2.5)))
AGREED = 12  # of the matches of the first key points; by chance three or four do
FEW_HYPOTHESES = PnpSettings(min_iterations=10, max_iterations=100)
CONFIRMED = 32  # of the matches near a prior, so many are compared with the whole map
MIN_CONFIRMED = 0.75  # of these; measured: above 0.85 with right priors, at most 0.5 at wrong doors of a corridor

Pairs = tuple[Rows, Rows, Float32]  # key points of a view, points of the map, their similarities


@dataclass(frozen=True)
class SearchSettings:
    """key_points: so many of a view's best ones are matched with points that only descriptors tell apart: more cost
    time, and tell right from wrong no better. min_similarity: the least cosine of descriptors. landmarks: so many are
    tried together, the likeliest first, and groups of so many in each of the max_places likeliest places. prior_sigmas:
    how far the pose may be from a prior, around which first_key_points of a view are matched before the others. Raises
    ConfigError for what makes no sense.
    """

    key_points: int = 512
    min_similarity: float = 0.85
    landmarks: int = 16
    groups: int = 2
    max_places: int = 2
    prior_sigmas: float = 3.0
    first_key_points: int = 64

    def __post_init__(self) -> None:
        for name in ("key_points", "landmarks", "groups", "max_places", "first_key_points"):
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
        """Matches with the points of the prior's place, each only near where it may be seen; none of a place that the
        map lacks.

        Some key points are matched first, and if they agree on a pose, the others in narrow windows around that. None
        where too few of a sample are the best ones of the whole map: what can be seen from a wrong prior may look like
        what the image shows, such as another door of a corridor. So most of what speaks for a pose that is found near a
        prior would speak for it in a search of the whole map too.
        """
        place = self.landmark_map.manifest.index_of(prior.place or None)
        if place is None:
            return Correspondences.empty()
        sigmas = worst_sigma(prior.covariance[:3, :3]), worst_sigma(prior.covariance[3:, 3:])
        around = prior.map_from_rig, Uncertainty(*(self.settings.prior_sigmas * sigma for sigma in sigmas))
        pose = self._agreed_pose(self._in_windows(place, *around, self.settings.first_key_points))
        if pose is not None:
            around = pose, NARROW
        found = self._in_windows(place, *around, self.settings.key_points)
        return self._correspondences(found) if self._best_of_all(found) else Correspondences.empty()

    def _in_windows(self, place: int, map_from_rig: Float, uncertainty: Uncertainty, count: int) -> list[Pairs]:
        """Matches of the `count` best key points of each view with the points of a place that may be near them."""
        found = []
        for seen in self.views:
            visible = visible_points(self.points, place, seen.camera, map_from_rig, uncertainty)
            expected = windows(self.points, visible, seen.camera, map_from_rig, uncertainty)
            described = seen.pixels[:count], seen.descriptors[:count]
            found.append(
                mutual_nearest_in_windows(
                    *described, self.points.unit_descriptors, visible, *expected, self.settings.min_similarity
                )
            )
        return found

    def _agreed_pose(self, found: Sequence[Pairs]) -> Float | None:
        """The rig's pose that some of the matches agree on, if enough do."""
        few = self._correspondences(found)
        if len(few) < AGREED:
            return None
        matches, cameras = Matches(few.pixels, few.points, few.sigmas, few.views), tuple(v.camera for v in self.views)
        pose = ransac(matches, cameras, FEW_HYPOTHESES)
        near = np.array([each.camera.fx for each in cameras])[few.views] * FEW_HYPOTHESES.max_inlier_angle_rad
        return pose if (reprojection_errors(pose, matches, cameras) <= near).sum() >= AGREED else None

    def _best_of_all(self, found: Sequence[Pairs]) -> bool:
        """Whether enough of a sample of each view's matches are the best ones of the whole map."""
        best_of_all = []
        for seen, (key_points, matched, _) in zip(self.views, found, strict=True):
            sample = np.linspace(0, len(matched) - 1, min(CONFIRMED, len(matched))).astype(np.intp)
            similarities = seen.descriptors[key_points[sample]] @ self.points.unit_descriptors.T
            best_of_all.append(similarities.argmax(axis=1) == matched[sample])
        return bool(np.concatenate(best_of_all).sum() >= MIN_CONFIRMED * sum(map(len, best_of_all)))

    def _correspondences(self, found: Sequence[Pairs]) -> Correspondences:
        """Those of all views."""
        parts = [seen.correspondences(*pairs, self.landmark_map) for seen, pairs in zip(self.views, found, strict=True)]
        return Correspondences.joined(parts)

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
        index, least = self.points.descriptor_index, self.settings.min_similarity
        best = [seen.descriptors[: self.settings.key_points] for seen in self.views]
        found = self._correspondences([mutual_nearest_indexed(each, index, least) for each in best])
        counts = np.bincount(found.places, minlength=1)
        for place in np.argsort(-counts, kind="stable")[: self.settings.max_places]:
            yield found[found.places == place]

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
            found.append(pairs)
        return self._correspondences(found)
