"""A building that a robot tracks in: points are followed in the place of the prior, each place keeps its own gate, and
places with the same networks share sessions."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.building_scenes import (
    STEP,
    WALL_PLACES,
    seeing,
    wall_frame,
    write_rooms,
    write_seen_rooms,
    write_wall_places,
)
from support.sparse_scenes import blank

from vloc_ros.building import BuildingLocalizer
from vloc_ros.core.query import Prior, Query
from vloc_ros.core.types import PoseEstimate, Rejection
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.pose_error import RIGHT_POSE, pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.localizer import load_localizer
from vloc_ros.maps import StoredBuilding, StoredMap
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.search_planner import SearchPlanner

CERTAIN = 1e-4 * np.eye(6)


@pytest.fixture
def house(tmp_path: Path) -> BuildingLocalizer:
    write_wall_places(tmp_path / "house")
    localizer = load_localizer(tmp_path / "house")
    assert isinstance(localizer, BuildingLocalizer)
    return localizer


@pytest.mark.parametrize("name", WALL_PLACES)
def test_points_are_followed_in_the_place_that_they_are_of(house: BuildingLocalizer, name: str) -> None:
    before, there = wall_frame(WALL_PLACES[name]), perturb(WALL_PLACES[name], STEP)
    found = house.localize(before.image)
    assert isinstance(found, PoseEstimate)
    planner = SearchPlanner(PoseTracker())
    planner.add(Query.of(before.image), found, house.landmark_map, is_news=False)
    prior = Prior(before.map_from_camera, CERTAIN, name, planner.keyframe_of(house.landmark_map, name))
    followed = house.localize(Query.of(wall_frame(there).image, prior))
    assert isinstance(followed, PoseEstimate)
    assert (followed.place, followed.is_followed) == (name, True)
    assert "network" not in followed.timings_ms
    assert pose_error(followed.map_from_camera, there).within(RIGHT_POSE)
    # Carried to the other place, nothing can be followed, and the place is found anew.
    (other,) = set(WALL_PLACES) - {name}
    carried = house.localize(Query.of(wall_frame(WALL_PLACES[other]).image, prior))
    assert isinstance(carried, PoseEstimate)
    assert (carried.place, carried.is_followed) == (other, False)


@pytest.mark.parametrize("said", ["", "hall"])
def test_in_a_building_of_one_place_that_need_not_be_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """As of every map of one place, the place of its results is None."""
    pose = WALL_PLACES["hall"]
    write_seen_rooms(tmp_path / "hut", {"hall": wall_frame(pose)})
    hut = load_localizer(tmp_path / "hut")
    before = wall_frame(pose)
    found = hut.localize(before.image)
    assert isinstance(found, PoseEstimate)
    assert found.place is None
    planner = SearchPlanner(PoseTracker())
    planner.add(Query.of(before.image), found, hut.landmark_map, is_news=False)
    prior = Prior(pose, CERTAIN, said, planner.keyframe_of(hut.landmark_map, None))
    followed = hut.localize(Query.of(wall_frame(perturb(pose, STEP)).image, prior))
    assert isinstance(followed, PoseEstimate)
    assert (followed.place, followed.is_followed) == (None, True)
    dark = hut.localize(replace(before.image, rgb=np.zeros_like(before.image.rgb)))
    assert isinstance(dark, Rejection)
    assert dark.place is None
    monkeypatch.setattr(BuildingLocalizer, "votes", None)  # nobody asks which place it is
    near = hut.localize(Query.of(before.image, replace(prior, keyframe=None)))
    assert isinstance(near, PoseEstimate)
    assert near.place is None


def test_thresholds_that_are_given_change_nothing_else_of_a_place(house: BuildingLocalizer) -> None:
    image = wall_frame(WALL_PLACES["attic"]).image
    assert isinstance(house.gated(min_inliers=20).localize(image), PoseEstimate)
    refused = house.gated(min_inliers=5000).localize(image)
    assert isinstance(refused, Rejection)
    assert "5000" in refused.detail
    attic = house.places.of("attic")
    strict = replace(attic.landmark_map.manifest.gate, min_confidence=1.0)
    own = replace(attic.landmark_map, manifest=replace(attic.landmark_map.manifest, gate=strict))
    house.places._opened["attic"] = replace(attic, landmark_map=own)
    assert isinstance(house.gated(min_inliers=20).localize(image), Rejection), "its own confidence still counts"
    with pytest.raises(ConfigError, match="min_inliers"):
        house.gated(min_inliers=-1)


def test_what_places_share_keeps_none_of_their_maps_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = write_rooms(tmp_path / "house")
    places = seeing(monkeypatch, tmp_path / "house", maps["attic"]).places
    read = StoredBuilding.read_place

    def of_another_kind(building: StoredBuilding, name: str) -> StoredMap:
        stored = read(building, name)
        return replace(stored, sha256={**stored.sha256, "extractor.onnx": "f" * 64})

    monkeypatch.setattr(StoredBuilding, "read_place", of_another_kind)
    places.keep(2)
    first = places.of("attic")
    forgotten, sessions = weakref.ref(first.landmark_map), first.sessions
    del first
    others = [places.of(name) for name in ("cellar", "kitchen")]
    gc.collect()
    assert forgotten() is None
    assert all(other.sessions is sessions for other in others)


def test_places_with_the_same_networks_share_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = write_rooms(tmp_path / "house")
    localizer = seeing(monkeypatch, tmp_path / "house", maps["attic"])
    localizer.localize(blank())
    assert localizer.places.of("attic").sessions is localizer.sessions
    places = localizer.places
    read = type(localizer.building).read_place

    def of_another_kind(building, name):  # type: ignore[no-untyped-def]
        stored = read(building, name)
        manifest = stored.landmark_map.manifest
        spec = manifest.models["extractor"]
        hashes = {**stored.sha256, "extractor.onnx": "f" * 64}
        return replace(stored, sha256=hashes) if spec else stored

    monkeypatch.setattr(type(localizer.building), "read_place", of_another_kind)
    others = [places.of(name) for name in ("cellar", "kitchen")]
    assert others[0].sessions is not localizer.sessions
    assert others[0].sessions is others[1].sessions
