"""Places that look alike: the one is taken whose map explains most of the image, and none where nothing tells them
apart."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from support.building_scenes import look_alike, observation_of, place_map, seeing, write_place
from support.painted_walls import HERE, PLAIN, POSTER, Painting, painted_image, painted_surface
from support.sparse_scenes import POSE, SeenSession, Sight, blank

from vloc_ros.building import ALIKE, BuildingLocalizer, Located, Tried, best_explained
from vloc_ros.core.method import Observation
from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.core.query import Prior, Query, View
from vloc_ros.core.types import LandmarkMap, PoseEstimate, Rejection, RejectionReason
from vloc_ros.geometry.transforms import apply
from vloc_ros.map_localizer import Localizer
from vloc_ros.methods.expected_points import explained
from vloc_ros.methods.pram.method import PRAMMethod
from vloc_ros.methods.surface_comparison import Guess
from vloc_ros.training.building import put_together

REFUSED = Rejection(RejectionReason.LOW_CONFIDENCE, "", place="attic")


@dataclass(frozen=True)
class House:
    directory: Path
    maps: Mapping[str, LandmarkMap]


@pytest.fixture(scope="module")
def hall() -> LandmarkMap:
    return place_map("hall", 0)


@pytest.fixture(scope="module")
def pose(hall: LandmarkMap) -> PoseEstimate:
    session = SeenSession([Sight(seed=101).tensors(hall, POSE)])
    found = Localizer(hall, PRAMMethod(), {"extractor": session}).localize(blank())
    assert isinstance(found, PoseEstimate)
    return replace(found, place="hall")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Rooms, one that has most of the hall's points, and a copy of the attic."""
    directory = tmp_path_factory.mktemp("rivals") / "house"
    maps = {name: place_map(name, seed) for seed, name in enumerate(("hall", "attic", "cellar", "kitchen"))}
    maps["twin"] = look_alike(maps["hall"], place_map("twin", 9), share=0.7)
    maps["copy"] = look_alike(maps["attic"], place_map("copy", 9), share=1.0)
    for name, landmark_map in maps.items():
        write_place(directory, name, landmark_map)
    put_together(directory, list(maps), "map")
    return House(directory, maps)


def with_votes(monkeypatch: pytest.MonkeyPatch, votes: Mapping[str, float]) -> list[str]:
    """Key points vote so, whatever the image shows; the places whose maps are asked, in order."""
    asked: list[str] = []
    located = BuildingLocalizer._located

    def noted(self: BuildingLocalizer, name: str, *rest: object) -> Located:
        asked.append(name)
        return located(self, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(BuildingLocalizer, "votes", lambda *_: dict(votes))
    monkeypatch.setattr(BuildingLocalizer, "_located", noted)
    return asked


def test_the_right_place_explains_most_of_an_image(hall: LandmarkMap, pose: PoseEstimate) -> None:
    twin, other = look_alike(hall, place_map("twin", 9), share=0.5), place_map("other", 5)
    solved = replace(pose, place=None)
    parts = [explained(solved, observation_of(hall), each) for each in (hall, twin, other)]
    assert parts[0] > 0.6
    assert 0.35 * parts[0] < parts[1] < 0.65 * parts[0]
    assert parts[2] < 0.02
    away = POSE.copy()
    away[0, 3] += 0.3
    assert explained(replace(solved, map_from_camera=away), observation_of(hall), hall) < 0.02


def test_what_a_map_has_too_much_or_too_little_explains_less(hall: LandmarkMap, pose: PoseEstimate) -> None:
    assert hall.points is not None
    solved, observation, count = replace(pose, place=None), observation_of(hall), len(hall.points)
    whole = explained(solved, observation, hall)
    assert explained(solved, observation, only(hall, range(0, count, 2))) < 0.8 * whole
    cluttered = Observation(observation.query, (Sight(seed=101, shown=125).tensors(hall, POSE),))
    assert explained(solved, cluttered, hall) < 0.8 * whole
    assert explained(solved, observation, only(hall, range(3))) < 0.1
    assert explained(solved, observation, replace(hall, points=None)) == 0


def only(landmark_map: LandmarkMap, rows: range) -> LandmarkMap:
    assert landmark_map.points is not None
    return replace(landmark_map, points=landmark_map.points[np.array(rows)])


def test_what_explains_most_decides_and_not_the_order(pose: PoseEstimate) -> None:
    twin = replace(pose, place="twin")
    for parts in ((0.5, 0.4), (0.4, 0.5)):
        result = best_explained([Tried(pose, parts[0]), Tried(twin, parts[1])]).result
        assert isinstance(result, PoseEstimate)
        assert result.place == ("hall" if parts[0] > parts[1] else "twin")


def test_a_pose_is_not_taken_where_one_that_is_refused_explains_more(pose: PoseEstimate) -> None:
    assert best_explained([Tried(pose, 0.1), Tried(REFUSED, 0.3)]).result is REFUSED
    assert best_explained([Tried(pose, 0.3), Tried(REFUSED, 0.3)]).result is pose


def test_where_nothing_tells_two_places_apart_neither_is_taken(pose: PoseEstimate) -> None:
    twin = replace(pose, place="twin")
    result = best_explained([Tried(REFUSED, 0.4), Tried(twin, 0.5), Tried(pose, 0.5 + 0.4 * ALIKE)]).result
    assert isinstance(result, Rejection)
    assert (result.reason, result.place, result.refused) == (RejectionReason.AMBIGUOUS_PLACE, "hall", pose)
    assert "hall and twin explain 50.12 and 50.00 % of the image" in result.detail


def seen_from(place: str, pose: PoseEstimate, part: float, painting: Painting | None) -> Tried:
    guess = None if painting is None else Guess(painted_surface(painting), HERE)
    return Tried(replace(pose, place=place), part, guess)


def test_where_places_explain_an_image_about_as_well_the_colours_of_their_surfaces_decide(pose: PoseEstimate) -> None:
    views = [View(painted_image(POSTER))]
    right, wrong = seen_from("hall", pose, 0.45, POSTER), seen_from("twin", pose, 0.5, PLAIN)
    for tried in ([right, wrong], [wrong, right]):
        assert best_explained(tried, views) is right
        assert best_explained(tried) is wrong, "nothing to compare with"
    assert best_explained([right, replace(wrong, guess=None)], views).result.place == "twin"
    assert best_explained([replace(right, explained=0.39), wrong], views).result.place == "twin", "told by descriptors"
    refused = replace(right, result=REFUSED)
    assert best_explained([wrong, refused], views) is refused, "a pose that nobody believes may be the right one"


def test_where_surfaces_tell_two_places_apart_they_are_not_ambiguous(pose: PoseEstimate) -> None:
    tried = [seen_from("hall", pose, 0.5, POSTER), seen_from("twin", pose, 0.5, PLAIN)]
    result = best_explained(tried).result
    assert isinstance(result, Rejection)
    assert result.reason is RejectionReason.AMBIGUOUS_PLACE
    assert best_explained(tried, [View(painted_image(POSTER))]) is tried[0]
    assert best_explained(tried, [View(painted_image(PLAIN))]) is tried[1]


def test_where_surfaces_do_not_tell_them_apart_they_are(pose: PoseEstimate) -> None:
    views = [View(painted_image(POSTER))]
    tried = [seen_from("hall", pose, 0.5, POSTER), seen_from("twin", pose, 0.45, POSTER)]
    result = best_explained(tried, views).result
    assert isinstance(result, Rejection)
    assert (result.reason, result.place) == (RejectionReason.AMBIGUOUS_PLACE, "hall")
    assert "explain 50.00 and 45.00 % of the image, and the colours of their surfaces are alike in it" in result.detail
    assert best_explained([tried[0], replace(tried[1], result=REFUSED)], views) is tried[0]


def test_of_a_room_that_is_there_twice_in_other_colours_the_right_one_is_found(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paintings = {"attic": POSTER, "copy": PLAIN}
    for name, painting in paintings.items():
        surface = painted_surface(painting)
        surface = PlaceSurface.of(apply(POSE, surface.positions), surface.colors, surface.voxel_m)
        write_place(tmp_path, name, replace(house.maps[name], surface=surface))
    put_together(tmp_path, list(paintings), "map")
    for name, painting in paintings.items():
        localizer = seeing(monkeypatch, tmp_path, house.maps["attic"])
        result = localizer.localize(painted_image(painting, camera=blank().camera))
        assert isinstance(result, PoseEstimate)
        assert result.place == name


@pytest.mark.parametrize(("name", "other"), [("twin", "hall"), ("hall", "twin")])
def test_the_room_is_taken_that_the_image_shows_although_its_twin_has_more_votes(
    house: House, monkeypatch: pytest.MonkeyPatch, name: str, other: str
) -> None:
    localizer = seeing(monkeypatch, house.directory, house.maps[name])
    asked = with_votes(monkeypatch, {other: 3.0, name: 2.0, "attic": 1.0})
    result = localizer.localize(blank())
    assert isinstance(result, PoseEstimate)
    assert (result.place, asked) == (name, [other, name])  # whose pose explains enough to ask no more
    assert result.timings_ms["verification"] > 0


def test_of_a_room_that_is_there_twice_no_pose_is_given_but_near_a_prior(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    localizer = seeing(monkeypatch, house.directory, house.maps["attic"])
    result = localizer.localize(blank())
    assert isinstance(result, Rejection)
    assert result.reason is RejectionReason.AMBIGUOUS_PLACE
    for name in ("attic", "copy"):
        localizer = seeing(monkeypatch, house.directory, house.maps["attic"])
        prior = Prior(POSE, np.diag([0.01] * 3 + [0.001] * 3), name)
        result = localizer.localize(Query.of(blank(), prior))
        assert isinstance(result, PoseEstimate)
        assert result.place == name


def test_places_with_fewer_votes_are_asked_while_no_pose_explains_enough(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    localizer = seeing(monkeypatch, house.directory, house.maps["kitchen"])
    asked = with_votes(monkeypatch, {"hall": 9.0, "attic": 3.0, "kitchen": 2.0, "cellar": 1.0})
    result = localizer.localize(blank())
    assert isinstance(result, PoseEstimate)
    assert (result.place, asked) == ("kitchen", ["hall", "attic", "kitchen"])
    monkeypatch.setattr("vloc_ros.building.explained", lambda *_: 0.05)
    assert localizer.localize(blank()).place == "kitchen"
    assert asked[3:] == ["hall", "attic", "kitchen", "cellar"] * 2  # in either scale


def test_a_place_that_refuses_the_pose_near_the_prior_is_asked_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    localizer = seeing(monkeypatch, house.directory, house.maps["kitchen"])
    asked = with_votes(monkeypatch, {"hall": 9.0, "attic": 8.0, "kitchen": 2.0})
    prior = Prior(POSE, np.diag([0.01] * 3 + [0.001] * 3), "hall")
    result = localizer.localize(Query.of(blank(), prior))
    assert isinstance(result, PoseEstimate)
    assert (result.place, asked) == ("kitchen", ["hall", "attic", "kitchen"])
    # What it said counts as if it were asked for the first time.
    strict = localizer.gated(min_inliers=5000)
    refused = strict.localize(Query.of(blank(), replace(prior, place="kitchen")))
    assert isinstance(refused, Rejection)
    assert (refused.place, asked[3:]) == ("kitchen", ["kitchen", "hall", "attic"] * 2)  # in either scale


def test_an_image_without_votes_is_of_no_place(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    localizer = seeing(monkeypatch, house.directory, house.maps["hall"])
    with_votes(monkeypatch, {})
    result = localizer.localize(blank())
    assert isinstance(result, Rejection)
    assert result.place is None
