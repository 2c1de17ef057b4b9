"""Where key points are looked for: near a prior, inside of recognised landmarks, everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from support.sparse_scenes import (
    DIMENSIONS,
    EXTRACTOR,
    KEY_POINTS,
    POSE,
    KnowingRecognizer,
    SeenSession,
    Sight,
    blank,
    room,
)

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.query import Prior, Query
from vloc_ros.core.session import Session
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import LandmarkMap, PoseEstimate, Rejection
from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.localizer import Localizer
from vloc_ros.methods.pram.method import PRAMMethod
from vloc_ros.methods.pram.recognition import Recognized, landmark_confidences, recognizer_spec
from vloc_ros.methods.pram.search import SearchSettings

COVARIANCE = np.diag([0.05**2] * 3 + [np.radians(3.0) ** 2] * 3)
OFF = np.array([0.05, -0.05, 0.04, 0.03, 0.04, -0.03])
AWAY = from_quaternion([0.0, 0.7, 0.0, 1.0], [2.0, 0.5, 2.5])  # looks along the wall
MODELS = {**EXTRACTOR, "recognizer": recognizer_spec(KEY_POINTS, DIMENSIONS)}


def localizer_of(
    landmark_map: LandmarkMap, sight: Sight, recognizer: Session | None = None, pose: np.ndarray = POSE
) -> Localizer:
    sessions: dict[str, Session] = {"extractor": SeenSession([sight.tensors(landmark_map, pose)])}
    if recognizer is not None:
        sessions["recognizer"] = recognizer
    return Localizer(landmark_map, PRAMMethod(), sessions)  # type: ignore[arg-type]


def proposals(localizer: Localizer, query: Query) -> list[Correspondences]:
    return list(localizer.method.propose(localizer.observe(query), localizer.landmark_map, Stopwatch()))


def prior_at(pose: np.ndarray, place: str = "") -> Query:
    return Query.of(blank(), Prior(pose, COVARIANCE, place))


def test_a_prior_moves_the_search_to_what_can_be_seen_from_it() -> None:
    localizer = localizer_of(room(), Sight())
    near, everywhere = proposals(localizer, prior_at(perturb(POSE, OFF)))
    assert 0.9 * len(everywhere) < len(near) <= len(everywhere) + 5
    result = localizer.localize(prior_at(perturb(POSE, OFF)))
    assert isinstance(result, PoseEstimate)
    assert result.evidence.correspondences == len(near)  # it was the first proposal that held
    assert pose_error(result.map_from_camera, POSE).translation_m < 0.005


@pytest.mark.parametrize("prior", [AWAY, POSE @ np.diag([-1.0, 1.0, -1.0, 1.0])])
def test_without_points_near_a_wrong_prior_global_search_follows(prior: np.ndarray) -> None:
    localizer = localizer_of(room(), Sight())
    near, _ = proposals(localizer, prior_at(prior))
    assert len(near) < 30
    result, expected = localizer.localize(prior_at(prior)), localizer.localize(blank())
    assert isinstance(result, PoseEstimate)
    assert isinstance(expected, PoseEstimate)
    np.testing.assert_array_equal(result.map_from_camera, expected.map_from_camera)


def test_a_prior_makes_no_wrong_pose_acceptable() -> None:
    """An image of another room, asked with many priors: none of the poses is believed, with as little evidence as
    there is without."""
    landmark_map = room()
    seen = Sight(shown=300).tensors(room(seed=7), POSE)
    localizer = replace(
        localizer_of(landmark_map, Sight()),
        method=PRAMMethod(SearchSettings(min_similarity=0.3)),
        sessions={"extractor": SeenSession([seen])},
    )
    rng = np.random.default_rng(4)
    for _ in range(20):
        prior = perturb(POSE, np.concatenate([rng.uniform(-0.5, 0.5, 3), rng.uniform(-0.5, 0.5, 3)]))
        result = localizer.localize(prior_at(prior))
        assert isinstance(result, Rejection)
        assert result.refused is None or result.refused.inlier_count < 20


def test_what_looks_the_same_elsewhere_is_not_taken_for_it() -> None:
    """A corridor of two doors that look almost the same, and a prior at the wrong one: whole-map search can tell them
    apart, and so does the search near the prior."""
    one = room(points=1000)
    assert one.points is not None
    positions = np.concatenate([one.points.positions, one.points.positions + np.array([40.0, 0.0, 0.0])])
    unlike = np.random.default_rng(6).integers(-9, 10, one.points.descriptors.shape)
    other = np.clip(one.points.descriptors + unlike, -127, 127).astype(np.int8)
    doubled = replace(
        one.points,
        positions=positions,
        descriptors=np.concatenate([one.points.descriptors, other]),
        **{name: np.tile(getattr(one.points, name), 2) for name in ("regions", "places", "sigmas")},
        **{name: np.tile(getattr(one.points, name), (2, 1)) for name in ("directions", "distances", "colors")},
    )
    corridor = replace(one, points=doubled)
    localizer = localizer_of(one, Sight())
    wrong = POSE.copy()
    wrong[0, 3] += 40.0
    alone = replace(one, points=replace(one.points, positions=positions[1000:], descriptors=other))
    assert isinstance(
        replace(localizer, landmark_map=alone).localize(prior_at(wrong)), PoseEstimate
    )  # as alike as that
    result = replace(localizer, landmark_map=corridor).localize(prior_at(wrong))
    assert isinstance(result, PoseEstimate)
    assert pose_error(result.map_from_camera, POSE).translation_m < 0.005


def test_a_prior_of_another_place_or_of_none() -> None:
    localizer = localizer_of(room(places=2), Sight(place=1))
    for name in ("place0", "place1", "nowhere", ""):
        result = localizer.localize(prior_at(POSE, name))
        assert isinstance(result, PoseEstimate)
        assert result.place == "place1"
        assert pose_error(result.map_from_camera, POSE).translation_m < 0.005


@pytest.mark.parametrize("right", [1.0, 0.6])
def test_landmarks_in_the_order_of_their_confidence(right: float) -> None:
    """The likeliest landmarks come first, then the next ones, then the whole map."""
    landmark_map = room(regions=40, models=MODELS)
    localizer = localizer_of(landmark_map, Sight(), KnowingRecognizer(landmark_map, right))
    observation = localizer.observe(blank())
    best, others, everywhere = proposals(localizer, Query.of(blank()))
    assert len(best) > len(others)
    said = Recognized.of(observation.tensors[0], len(landmark_map))
    order = np.argsort(-landmark_confidences([said], len(landmark_map)), kind="stable")
    assert set(best.landmark_ids.tolist()) <= set(landmark_map.ids[order[:16]].tolist())
    assert set(others.landmark_ids.tolist()) <= set(landmark_map.ids[order[16:32]].tolist())
    assert len(best) + len(others) > 0.8 * right * len(everywhere)
    result = localizer.localize(blank())
    assert isinstance(result, PoseEstimate)
    assert result.evidence.correspondences == len(best)
    assert pose_error(result.map_from_camera, POSE).translation_m < 0.005


@pytest.mark.parametrize("place", [0, 2])
def test_the_place_follows_the_landmarks(place: int) -> None:
    landmark_map = room(places=3, models=MODELS)
    localizer = localizer_of(landmark_map, Sight(place=place), KnowingRecognizer(landmark_map, 0.8))
    first, *_ = proposals(localizer, Query.of(blank()))
    assert set(first.places.tolist()) == {place}
    result = localizer.localize(blank())
    assert isinstance(result, PoseEstimate)
    assert result.place == f"place{place}"


def test_what_is_wrongly_recognised_is_found_in_the_whole_map() -> None:
    landmark_map = room(models=MODELS)
    localizer = localizer_of(landmark_map, Sight(), KnowingRecognizer(landmark_map, 0.0))
    result = localizer.localize(blank())
    assert isinstance(result, PoseEstimate)
    assert pose_error(result.map_from_camera, POSE).translation_m < 0.005


def test_key_points_that_are_surely_of_no_landmark_are_left_out() -> None:
    landmarks = np.array([[0, 3, 1], [0, 3, 1], [2, 1, 3], [0, 0, 0]], np.int32)
    confidences = np.array([[0.95, 0.03, 0.0], [0.8, 0.15, 0.05], [0.6, 0.3, 0.1], [1, 0, 0]], np.float32)
    scores = np.array([3, 2, 1, 0], np.float32)  # the last one is no key point
    said = Recognized.of({"landmarks": landmarks, "confidences": confidences, "scores": scores}, 3)
    assert said.landmarks.tolist() == [[-1, -1, -1], [-1, 2, 0], [1, 0, 2]]
    assert landmark_confidences([said, said], 3) == pytest.approx([0.7, 1.2, 0.5])


@pytest.mark.parametrize("wrong", [-1, 4])
def test_a_recognizer_of_another_map(wrong: int) -> None:
    tensors = {
        "landmarks": np.full((1, 3), wrong, np.int32),
        "confidences": np.ones((1, 3), np.float32),
        "scores": np.ones(1, np.float32),
    }
    with pytest.raises(ModelError, match=f"recognizer: landmarks are {wrong} to {wrong}, the map has 1 to 3"):
        Recognized.of(tensors, 3)


def test_a_recognizer_with_another_contract() -> None:
    models = {**EXTRACTOR, "recognizer": recognizer_spec(KEY_POINTS, DIMENSIONS + 1)}
    with pytest.raises(ConfigError, match="needs a recognizer of"):
        PRAMMethod().check(room(models=models))
    PRAMMethod().check(room(models=MODELS))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key_points", 0),
        ("landmarks", 0),
        ("groups", 0),
        ("max_places", 0),
        ("min_similarity", 2.0),
        ("prior_sigmas", -1.0),
    ],
)
def test_settings_that_make_no_sense(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"search: {name} is {value}"):
        SearchSettings(**{name: value})  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class MistakenRecognizer:
    """A recognizer that takes every place for the one after it."""

    knowing: KnowingRecognizer
    landmarks_of_place: int
    max_batch: int = 8

    backend = "mistaken"
    spec = KnowingRecognizer.spec

    def run(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        found = self.knowing.run(inputs)
        count = len(self.knowing.landmark_map)
        landmarks = found["landmarks"]
        moved = np.where(landmarks > 0, (landmarks - 1 + self.landmarks_of_place) % count + 1, 0).astype(np.int32)
        return {**found, "landmarks": moved}


@pytest.mark.parametrize("places", [2, 4])
def test_a_place_that_is_taken_for_another_is_not_lost(places: int) -> None:
    """What is proposed of the places that were recognised does not hold, and the whole map follows."""
    landmark_map = room(places=places, models=MODELS)
    mistaken = MistakenRecognizer(KnowingRecognizer(landmark_map), len(landmark_map) // places)
    for place in range(places):
        localizer = localizer_of(landmark_map, Sight(place=place), mistaken)
        first, *_ = proposals(localizer, Query.of(blank()))
        assert place not in first.places
        result = localizer.localize(blank())
        assert isinstance(result, PoseEstimate)
        assert result.place == f"place{place}"
        assert pose_error(result.map_from_camera, POSE).translation_m < 0.005
