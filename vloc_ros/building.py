"""A building, ready to localize: an image names its place first, and is then localized in the map of that place alone.

Maps of places are read when the first image names them, and the ones that were asked least recently are forgotten.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES
from vloc_ros.core.grey import is_grey
from vloc_ros.core.manifest import GateThresholds
from vloc_ros.core.method import Observation
from vloc_ros.core.pipeline import followed, gate_in, locate, observations, timed
from vloc_ros.core.query import Prior, Query, View, as_query
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate, Rejection, RejectionReason
from vloc_ros.geometry.camera import Camera
from vloc_ros.inference import DEFAULTS, SessionOptions
from vloc_ros.inference.backend import silent
from vloc_ros.map_localizer import Localizer
from vloc_ros.maps import StoredBuilding
from vloc_ros.methods.expected_points import explained
from vloc_ros.methods.image_colors import blurred_input, colors_at
from vloc_ros.methods.surface_comparison import Guess, told_apart
from vloc_ros.methods.surface_gate import judged_by_surface
from vloc_ros.open_places import OpenPlaces

MOST_PLACES = 5  # that an image is looked for in
RIVAL = 0.6  # a place with this part of the votes of the best one may be the right one too: rooms that look alike
VOTING = 256  # key points of an image, the best ones
SURE = 0.1  # `explained`: where a pose explains so much, neither places with fewer votes nor other scales are tried
SIMILAR = 0.8  # `explained`, as a part of the best one's, from which on descriptors do not tell two places apart
TOLD = 0.5  # `told_apart`: below, either place is the right one nearly as often
ALIKE = 0.003  # without surfaces: where a place explains this part less than the best one, the same
NOT_RECOGNISED = Rejection(RejectionReason.TOO_FEW_LANDMARKS, "no key point looks like a point of any place")


@dataclass(frozen=True, eq=False)
class BuildingLocalizer(Localizer):
    """A Localizer whose `landmark_map` is that of all places, without points."""

    building: StoredBuilding = field(kw_only=True)
    places: OpenPlaces = field(kw_only=True)
    changes: Mapping[str, Any] = field(kw_only=True, default_factory=dict)  # of the thresholds of every place
    min_agreement: float = field(kw_only=True, default=0.0)  # and of what its surface says; 0: none

    def gated(self, *, min_agreement: float = 0.0, **thresholds: Any) -> "BuildingLocalizer":
        """As `Localizer.gated`: each place keeps its own thresholds but for these. `min_agreement`: in place of each
        surface's own `least_agreement`; 0: as that says."""
        super().gated(min_agreement=min_agreement, **thresholds)  # which checks them
        changed = replace(self, changes=thresholds, min_agreement=min_agreement)
        return changed if thresholds or min_agreement else self

    def localize(self, asked: Query | CameraImage) -> PoseEstimate | Rejection:
        """As `Localizer.localize`, in the frame of the place that the result names. `timings_ms` has `recognition` too:
        of places, and the reading of a map that was not in memory."""
        stopwatch, query = Stopwatch(), as_query(asked)
        with stopwatch.stage("total"):
            result = self._followed(query, stopwatch)
            if not isinstance(result, PoseEstimate):
                result = self._searched(query.searched, stopwatch)
        return timed(result, stopwatch)

    def localize_all(self, asked: Iterable[Query | CameraImage]) -> Iterator[PoseEstimate | Rejection]:
        """The same of each, one after the other."""
        return map(self.localize, asked)

    def of_place(self, place: str | None) -> Localizer:
        """That of the place; the first where none was recognised."""
        return self.places.first if place is None else self.places.of(place)

    @property
    def max_batch(self) -> int:
        return 1

    def keep_open(self, most: int | None) -> None:
        """Keep the maps of at most so many places in memory; None: as many as without being told. Raises
        ConfigError for a number below 0."""
        self.places.keep(most)

    def warm_up(self) -> None:
        """As `Localizer.warm_up`, in the first place; recognition; and its surface, which poses are compared with."""
        first = self.places.first
        first.warm_up()
        if surface := first.landmark_map.surface:
            surface.seen(Camera(8, 6, 8.0, 8.0, 3.5, 2.5), np.eye(4))
        self.building.index.votes(self.building.index.words[:1])

    def votes(self, observation: Observation) -> dict[str, float]:
        """How much key points of all views speak for each place, that of most first."""
        found, index = np.zeros(len(self.building.places)), self.building.index
        for tensors in observation.tensors:
            shown = tensors[DESCRIPTORS][:VOTING][tensors[SCORES][:VOTING] > 0]
            if len(shown):
                found += index.votes(np.ascontiguousarray(shown, dtype=np.float32))
        if len(index.colors) and found.any() and len(colors := self._colors(observation)):
            found += index.color_votes(colors)
        names = list(self.building.places)
        return {names[row]: float(found[row]) for row in np.argsort(-found, kind="stable") if found[row] > 0}

    def _colors(self, observation: Observation) -> NDArray[np.uint8]:
        """Of the key points (K, 3) that vote, but for those of grey images."""
        found = [np.empty((0, 3), dtype=np.uint8)]
        for view, tensors in zip(observation.query.views, observation.tensors, strict=True):
            if not is_grey(view.image.rgb):
                pixels = tensors[KEY_POINTS][:VOTING][tensors[SCORES][:VOTING] > 0]
                blurred = blurred_input(view.image, self.landmark_map.manifest.image_size, view.scale)
                found.append(colors_at(blurred, pixels))
        return np.concatenate(found)

    def _followed(self, query: Query, stopwatch: Stopwatch) -> PoseEstimate | Rejection | None:
        """`followed` in the place of the prior."""
        name = self._place_of(query.prior)
        if name is None or query.prior is None or query.prior.keyframe is None:
            return None
        place = self.places.of(name)
        result = followed(query, place.landmark_map, place.method, self._gate_of(place), stopwatch)
        return result and replace(result, place=self._said(name))

    def _place_of(self, prior: Prior | None) -> str | None:
        """Where the robot is expected, which need not be said of the only place; None where that is not known."""
        names = list(self.building.places)
        if prior is None:
            return None
        place = names[0] if not prior.place and len(names) == 1 else prior.place
        return place if place in names else None

    def _said(self, name: str) -> str | None:
        """What the `place` of results in a place is."""
        return name if len(self.building.places) > 1 else None

    def _gate_of(self, place: Localizer) -> GateThresholds:
        return place.gated(**self.changes).gate

    def _searched(self, query: Query, stopwatch: Stopwatch) -> PoseEstimate | Rejection:
        """The pose in the place of the prior, if there is one and the pose can be believed; else that of the place
        which is recognised, in the scale in which it explains most, if it does not explain enough in the first."""
        name, found = self._place_of(query.prior), []
        for seen in observations(query, self.landmark_map.manifest, self.method, self.sessions, stopwatch):
            expected = None if name is None else self._located(name, seen, stopwatch)
            if expected is not None and isinstance(expected.result, PoseEstimate):
                return replace(expected.result, place=self._said(expected.name))
            found.append(self._recognised(seen, expected, stopwatch))
            if not found[-1].is_refused and found[-1].explained >= SURE:
                break
        return max(found, key=lambda each: (not each.is_refused, each.explained)).result

    def _recognised(self, seen: Observation, expected: "Located | None", stopwatch: Stopwatch) -> "Tried":
        """What `best_explained` says of the likeliest place and its rivals; as long as no pose explains enough, of the
        next places too. `expected`: what the place of the prior said, which is not asked again."""
        with stopwatch.stage("recognition"):
            votes = self.votes(seen)
            names = list(votes)[:MOST_PLACES]
            rivals = [name for name in names if votes[name] >= RIVAL * votes[names[0]]]
        tried: list[Tried] = []
        for group in (rivals, *([name] for name in names[len(rivals) :])):
            for name in group:
                known = expected if expected is not None and expected.name == name else None
                tried.append(self._tried(known or self._located(name, seen, stopwatch), stopwatch))
            if any(each.explained >= SURE and isinstance(each.result, PoseEstimate) for each in tried):
                break
        with stopwatch.stage("verification"):
            return best_explained(tried, seen.query.views) if tried else Tried(NOT_RECOGNISED, 0.0)

    def _tried(self, located: "Located", stopwatch: Stopwatch) -> "Tried":
        result = located.result
        solved = result if isinstance(result, PoseEstimate) else result.refused
        with stopwatch.stage("verification"):
            part = explained(solved, located.observation, located.landmark_map) if solved else 0.0
        surface = located.landmark_map.surface
        guess = Guess(surface, solved.map_from_camera) if solved and surface else None
        return Tried(replace(result, place=self._said(located.name)), part, guess)

    def _located(self, name: str, seen: Observation, stopwatch: Stopwatch) -> "Located":
        place, observation = self._asked(name, seen, stopwatch)
        thresholds = self._gate_of(place)
        result = locate(observation, place.landmark_map, place.method, thresholds, stopwatch)
        if surface := place.landmark_map.surface:
            # Hardly any wrong pose looks like its place, however few of its correspondences agree.
            fewer = replace(thresholds, min_inlier_ratio=self.changes.get("min_inlier_ratio", 0.0))
            with stopwatch.stage("verification"):
                result = judged_by_surface(
                    result,
                    observation.query.views,
                    surface,
                    self.min_agreement or surface.least_agreement,
                    partial(gate_in, query=observation.query, landmark_map=place.landmark_map, thresholds=fewer),
                )
        return Located(name, place.landmark_map, observation, result)

    def _asked(self, name: str, seen: Observation, stopwatch: Stopwatch) -> tuple[Localizer, Observation]:
        """The map of one place, and what was seen, which is seen anew where that has other networks."""
        with stopwatch.stage("recognition"):
            place = self.places.of(name)
        query, prior = seen.query, seen.query.prior
        if prior is not None:  # a place of its own map has no name
            query = replace(query, prior=replace(prior, place="") if self._place_of(prior) == name else None)
        if place.sessions is self.sessions:
            return place, Observation(query, seen.tensors)
        with stopwatch.stage("network"):
            return place, Observation(query, place.observe(query).tensors)


@dataclass(frozen=True, eq=False)
class Located:
    """What the map of one place, which names no place, says of what was seen."""

    name: str
    landmark_map: LandmarkMap
    observation: Observation
    result: PoseEstimate | Rejection


@dataclass(frozen=True, eq=False)
class Tried:
    """What the map of one place says of an image. `explained`: how well its pose explains that, believed or not, 0
    where there is none. `guess`: that pose, where the map has the surface of the place."""

    result: PoseEstimate | Rejection
    explained: float
    guess: Guess | None = None

    @property
    def is_refused(self) -> bool:
        """Whether no pose can be believed; an image is ambiguous where two can."""
        return isinstance(self.result, Rejection) and self.result.reason is not RejectionReason.AMBIGUOUS_PLACE


def best_explained(tried: Sequence[Tried], views: Sequence[View] = ()) -> Tried:
    """Of one or more places, likelier ones first, what that says whose pose explains the image best; of those that
    explain it about as well, the one whose surface has the colours of the `views`. A rejection where that does not tell
    it from another whose pose is believed: such an image would be in the wrong one every other time."""
    first, *others = sorted(tried, key=lambda each: -each.explained)
    rivals = [first, *(each for each in others if each.explained > SIMILAR * first.explained)]
    scores, row = told_apart(views, [each.guess for each in rivals]), 0
    for other in range(1, len(rivals)):
        if scores[other, row] >= TOLD:
            row = other
    best = rivals[row]
    if isinstance(best.result, Rejection):
        return best
    for other, rival in enumerate(rivals):
        doubt = _doubt(best, rival, float(scores[row, other])) if rival is not best else ""
        if doubt and isinstance(rival.result, PoseEstimate):
            reason, place = RejectionReason.AMBIGUOUS_PLACE, best.result.place
            return replace(best, result=Rejection(reason, doubt, best.result, place=place))
    return best


def _doubt(best: Tried, other: Tried, score: float) -> str:
    """Why another place may be the right one as well, and "" where it is not. `score`: that of `told_apart`."""
    parts = f"{100 * best.explained:.2f} and {100 * other.explained:.2f} %"
    detail = f"{best.result.place} and {other.result.place} explain {parts} of the image"
    if math.isnan(score):
        return detail if other.explained > (1 - ALIKE) * best.explained else ""
    return f"{detail}, and the colours of their surfaces are alike in it" if score < TOLD else ""


def open_building(
    building: StoredBuilding, options: SessionOptions = DEFAULTS, say: Callable[[str], None] = silent
) -> BuildingLocalizer:
    """Open the networks of its first place; errors as `open_map`."""
    places = OpenPlaces(building, options, say)
    first = places.first
    return BuildingLocalizer(
        building.landmark_map, first.method, first.sessions, building.map_id, building=building, places=places
    )
