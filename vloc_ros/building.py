"""A building, ready to localize: an image names its place first, and is then localized in the map of that place alone.

Maps of places are read when the first image names them, and the ones that were asked least recently are forgotten.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import numpy as np

from vloc_ros.core.feature_spec import DESCRIPTORS, SCORES
from vloc_ros.core.manifest import GateThresholds
from vloc_ros.core.method import Observation
from vloc_ros.core.pipeline import followed, locate, observe_all, prepare_all, timed
from vloc_ros.core.query import Prior, Query, as_query
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, PoseEstimate, Rejection, RejectionReason
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.inference import DEFAULTS, SessionOptions
from vloc_ros.inference.backend import silent
from vloc_ros.map_localizer import Localizer, open_map
from vloc_ros.maps import StoredBuilding, StoredMap
from vloc_ros.maps.names import PLACES
from vloc_ros.methods.expected_points import explained

OPEN_PLACES = 8  # whose maps are kept in memory
MOST_PLACES = 5  # that an image is looked for in
RIVAL = 0.6  # a place with this part of the votes of the best one may be the right one too: rooms that look alike
KEY_POINTS = 256  # of an image, the best ones, that vote
SURE = 0.1  # `explained`: where a pose explains so much, the places with fewer votes are not tried
ALIKE = 0.003  # where a place explains this part less than the best one, it is the right one nearly as often
NOT_RECOGNISED = Rejection(RejectionReason.TOO_FEW_LANDMARKS, "no key point looks like a point of any place")


class OpenPlaces:
    """The localizers of the places that were asked last. Any thread may ask."""

    def __init__(
        self, building: StoredBuilding, options: SessionOptions, say: Callable[[str], None], most: int = OPEN_PLACES
    ) -> None:
        self._building, self._options, self._most = building, options, most
        first = next(iter(building.places))
        self.first = open_map(building.first, self._where(first), options, say)
        self._kinds = [(_kind(building.first), self.first)]
        self._opened = OrderedDict({first: self.first})
        self._lock, self._opening = Lock(), Lock()  # of `_opened`, and of `_kinds`

    def __len__(self) -> int:
        return len(self._opened)

    def of(self, name: str) -> Localizer:
        """That of a place; who asks for one that is open does not wait for others to be read. Raises VlocError for a
        map that cannot be read."""
        if found := self._kept(name):
            return found
        with self._opening:
            opened = self._kept(name) or self._open(name, self._building.read_place(name))
            with self._lock:
                self._opened[name] = opened
                while len(self._opened) > self._most:
                    self._opened.popitem(last=False)
            return opened

    def _kept(self, name: str) -> Localizer | None:
        with self._lock:
            if name in self._opened:
                self._opened.move_to_end(name)
            return self._opened.get(name)

    def _where(self, name: str) -> str:
        return str(self._building.directory / PLACES / name)

    def _open(self, name: str, stored: StoredMap) -> Localizer:
        """With the sessions of a place that has the same networks, if one was open before."""
        kind, where = _kind(stored), self._where(name)
        alike = next((localizer for known, localizer in self._kinds if known == kind), None)
        if alike is None:
            opened = open_map(stored, where, self._options)
            self._kinds.append((kind, opened))
            return opened
        try:
            alike.method.check(stored.landmark_map)
        except ConfigError as error:
            raise MapError(f"{where}: {error}") from error
        return replace(alike, landmark_map=stored.landmark_map, map_id=stored.map_id)


def _kind(stored: StoredMap) -> tuple[object, ...]:
    """What sessions are opened of."""
    manifest = stored.landmark_map.manifest
    return stored.networks, manifest.models, manifest.method


@dataclass(frozen=True, eq=False)
class BuildingLocalizer(Localizer):
    """A Localizer whose `landmark_map` is that of all places, without points."""

    building: StoredBuilding = field(kw_only=True)
    places: OpenPlaces = field(kw_only=True)
    changes: Mapping[str, Any] = field(kw_only=True, default_factory=dict)  # of the thresholds of every place

    def gated(self, **thresholds: Any) -> "BuildingLocalizer":
        """As `Localizer.gated`: each place keeps its own thresholds but for these."""
        self.places.first.gated(**thresholds)  # which checks them
        return replace(self, changes=thresholds) if thresholds else self

    def localize(self, asked: Query | CameraImage) -> PoseEstimate | Rejection:
        """As `Localizer.localize`, in the frame of the place that the result names. `timings_ms` has `recognition` too:
        of places, and the reading of a map that was not in memory."""
        stopwatch = Stopwatch()
        with stopwatch.stage("total"):
            result = self._followed(as_query(asked), stopwatch)
            if not isinstance(result, PoseEstimate):
                with stopwatch.stage("preprocess"):
                    query, inputs = prepare_all(as_query(asked).searched, self.method, self.landmark_map.manifest)
                with stopwatch.stage("network"):
                    seen = Observation(query, tuple(observe_all(inputs, self.method, self.sessions)))
                result = self._expected(seen, stopwatch) or self._recognised(seen, stopwatch)
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

    def warm_up(self) -> None:
        """As `Localizer.warm_up`, in the first place; and recognition."""
        self.places.first.warm_up()
        self.building.index.votes(self.building.index.words[:1])

    def votes(self, observation: Observation) -> dict[str, float]:
        """How many key points of all views speak for each place, that of most first."""
        found = np.zeros(len(self.building.places))
        for tensors in observation.tensors:
            shown = tensors[DESCRIPTORS][:KEY_POINTS][tensors[SCORES][:KEY_POINTS] > 0]
            if len(shown):
                found += self.building.index.votes(np.ascontiguousarray(shown, dtype=np.float32))
        names = list(self.building.places)
        return {names[row]: float(found[row]) for row in np.argsort(-found, kind="stable") if found[row] > 0}

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

    def _expected(self, seen: Observation, stopwatch: Stopwatch) -> PoseEstimate | None:
        """The pose in the place of the prior, if there is one and the pose can be believed."""
        if (name := self._place_of(seen.query.prior)) is None:
            return None
        result = self._located(*self._asked(name, seen, stopwatch), stopwatch)
        return replace(result, place=self._said(name)) if isinstance(result, PoseEstimate) else None

    def _recognised(self, seen: Observation, stopwatch: Stopwatch) -> PoseEstimate | Rejection:
        """What `best_explained` says of the likeliest place and its rivals; as long as no pose explains enough, of the
        next places too."""
        with stopwatch.stage("recognition"):
            votes = self.votes(seen)
            names = list(votes)[:MOST_PLACES]
            rivals = [name for name in names if votes[name] >= RIVAL * votes[names[0]]]
        tried: list[Tried] = []
        for group in (rivals, *([name] for name in names[len(rivals) :])):
            tried += [self._tried(name, seen, stopwatch) for name in group]
            if any(each.explained >= SURE and isinstance(each.result, PoseEstimate) for each in tried):
                break
        return best_explained(tried) if tried else NOT_RECOGNISED

    def _tried(self, name: str, seen: Observation, stopwatch: Stopwatch) -> "Tried":
        place, observation = self._asked(name, seen, stopwatch)
        result = self._located(place, observation, stopwatch)
        solved = result if isinstance(result, PoseEstimate) else result.refused
        with stopwatch.stage("verification"):
            part = explained(solved, observation, place.landmark_map) if solved else 0.0
        return Tried(replace(result, place=self._said(name)), part)

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

    def _located(self, place: Localizer, observation: Observation, stopwatch: Stopwatch) -> PoseEstimate | Rejection:
        return locate(observation, place.landmark_map, place.method, self._gate_of(place), stopwatch)


@dataclass(frozen=True, eq=False)
class Tried:
    """What the map of one place says of an image. `explained`: how well its pose explains that, believed or not, 0
    where there is none."""

    result: PoseEstimate | Rejection
    explained: float


def best_explained(tried: Sequence[Tried]) -> PoseEstimate | Rejection:
    """Of one or more places, likelier ones first, what that says whose pose explains the image best; a rejection where
    another pose that is believed explains as much: an image that shows nothing which tells two rooms apart would be in
    the wrong one every other time."""
    best, *others = sorted(tried, key=lambda each: -each.explained)
    if isinstance(best.result, Rejection):
        return best.result
    for other in others:
        if isinstance(other.result, PoseEstimate) and other.explained > (1 - ALIKE) * best.explained:
            parts = f"{100 * best.explained:.2f} and {100 * other.explained:.2f} %"
            detail = f"{best.result.place} and {other.result.place} explain {parts} of the image"
            return Rejection(RejectionReason.AMBIGUOUS_PLACE, detail, best.result, place=best.result.place)
    return best.result


def open_building(
    building: StoredBuilding, options: SessionOptions = DEFAULTS, say: Callable[[str], None] = silent
) -> BuildingLocalizer:
    """Open the networks of its first place; errors as `open_map`."""
    places = OpenPlaces(building, options, say)
    first = places.first
    return BuildingLocalizer(
        building.landmark_map, first.method, first.sessions, building.map_id, building=building, places=places
    )
