"""Buildings: which place an image shows, poses in its map alone, and which maps are in memory."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.building_scenes import NAMES, look_alike, place_map, seeing, write_place, write_rooms
from support.sparse_scenes import POSE, blank, unit

from vloc_ros.core import place_index
from vloc_ros.core.place_index import PlaceIndex, quantized, sorted_index
from vloc_ros.core.place_kernels import largest
from vloc_ros.core.query import Prior, Query
from vloc_ros.core.types import PoseEstimate, Rejection
from vloc_ros.errors import ConfigError
from vloc_ros.maps import StoredBuilding, StoredMap
from vloc_ros.training.building import put_together


def located(result: PoseEstimate | Rejection, name: str) -> None:
    assert isinstance(result, PoseEstimate), result
    assert result.place == name
    assert np.linalg.norm(result.map_from_camera[:3, 3] - POSE[:3, 3]) < 0.02


def test_votes_are_those_of_a_slow_comparison() -> None:
    rng = np.random.default_rng(0)
    known = unit(rng, 600)
    asked: Any = known[::7] + rng.normal(0, 0.02, (86, known.shape[1]))
    asked = (asked / np.linalg.norm(asked, axis=1, keepdims=True)).astype(np.float32)
    parts = [quantized(known[:200]), quantized(known[200:400]), quantized(np.concatenate([known[400:], known[:50]]))]
    index = sorted_index(unit(rng, 12), parts)
    expected = np.zeros(3)
    nearest = np.argsort(-(asked @ index.words.T - (index.words**2).sum(axis=1) / 2), axis=1, kind="stable")
    for descriptor, words in zip(quantized(asked), nearest[:, : place_index.PROBES], strict=True):
        rows = np.concatenate([np.arange(index.starts[word], index.starts[word + 1]) for word in words])
        cosines = index.descriptors[rows].astype(int) @ descriptor.astype(int) / 127**2
        best = np.array([cosines[index.point_places[rows] == place].max(initial=-1) for place in range(3)])
        expected += np.maximum(0, best - max(np.sort(best)[0], place_index.MIN_SIMILARITY))
    np.testing.assert_allclose(index.votes(asked), expected, atol=0.01)
    assert expected.sum() > 5
    assert index.votes(asked[:0]).tolist() == [0, 0, 0]


def test_the_largest_of_each_row_are_those_that_sorting_finds() -> None:
    values = np.random.default_rng(1).normal(size=(40, 17)).astype(np.float32)
    for count in (1, 3, 17):
        found = np.zeros((40, count), dtype=np.intp)
        largest(values, found)
        np.testing.assert_array_equal(found, np.argsort(-values, axis=1)[:, :count])


@pytest.mark.parametrize(
    "changes",
    [
        {"starts": np.array([0, 2, 1])},
        {"starts": np.array([0, 3])},
        {"point_places": np.array([0, 1, 2], np.int32)},
        {"colors": np.ones((1, 1024), np.float32)},
        {"colors": np.full((2, 1024), -1, np.float32)},
    ],
)
def test_arrays_that_do_not_go_together_are_refused(changes: dict[str, np.ndarray]) -> None:
    good = PlaceIndex(np.eye(2, dtype=np.float32), np.array([0, 2, 3]), np.ones((3, 2), np.int8),
                      np.array([0, 1, 1], np.int32), 2)  # fmt: skip
    with pytest.raises(ConfigError, match="recognition of places"):
        replace(good, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES[1:3])
def test_an_image_is_localized_in_the_place_that_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    maps = write_rooms(tmp_path / "house")
    localizer = seeing(monkeypatch, tmp_path / "house", maps[name])
    result = localizer.localize(blank())
    located(result, name)
    assert set(result.timings_ms) >= {"network", "recognition", "matching", "total"}
    assert len(localizer.places) == 2  # the first one and this
    assert [each.place for each in localizer.localize_all([blank()])] == [name]
    with pytest.raises(ConfigError, match="no place"):
        localizer.landmark_map.manifest.place_of("garage")


def test_of_rooms_that_look_alike_that_with_the_poster_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = tmp_path / "house"
    maps = write_rooms(house)
    twin = look_alike(maps["hall"], place_map("twin", 9), share=0.7)
    write_place(house, "twin", twin)
    put_together(house, [*NAMES, "twin"], "map")
    for name, shown in {"twin": twin, "hall": maps["hall"]}.items():
        localizer = seeing(monkeypatch, house, shown)
        votes = localizer.votes(localizer.observe(blank()))
        assert list(votes)[:2] == [name, "hall" if name == "twin" else "twin"]
        located(localizer.localize(blank()), name)


def test_where_the_robot_is_expected_it_is_looked_for_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = write_rooms(tmp_path / "house")
    localizer = seeing(monkeypatch, tmp_path / "house", maps["attic"])
    prior = Prior(POSE, np.diag([0.01] * 3 + [0.001] * 3), "attic")
    located(localizer.localize(Query.of(blank(), prior)), "attic")
    localizer = seeing(monkeypatch, tmp_path / "house", maps["attic"])
    located(localizer.localize(Query.of(blank(), replace(prior, place="cellar"))), "attic")
    located(localizer.localize(Query.of(blank(), replace(prior, place="garage"))), "attic")


def test_an_image_of_nowhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rooms(tmp_path / "house")
    localizer = seeing(monkeypatch, tmp_path / "house", place_map("elsewhere", 77))
    assert isinstance(localizer.localize(blank()), Rejection)


def test_only_so_many_places_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rooms(tmp_path / "house")
    localizer = seeing(monkeypatch, tmp_path / "house", place_map("hall", 0))
    places = localizer.places
    localizer.keep_open(2)
    attic = places.of("attic")
    assert places.of("attic") is attic
    for name in NAMES:
        assert places.of(name).landmark_map.manifest.frame_id == f"map_{name}"
        assert len(places) <= 2
    assert places.of("attic") is not attic
    with pytest.raises(ConfigError, match="maps of -1 places"):
        localizer.keep_open(-1)
    localizer.keep_open(None)
    assert len({id(places.of(name)) for _ in range(2) for name in NAMES}) == len(NAMES)
    assert len(places) == len(NAMES)
    localizer.keep_open(2)
    assert len(places) == 2


def test_who_is_in_a_place_that_is_open_does_not_wait_for_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps = write_rooms(tmp_path / "house")
    places = seeing(monkeypatch, tmp_path / "house", maps["hall"]).places
    begun, go_on, read = threading.Event(), threading.Event(), type(places._building).read_place
    reads = []

    def slowly(building: StoredBuilding, name: str) -> StoredMap:
        reads.append(name)
        begun.set()
        assert go_on.wait(30)
        return read(building, name)

    monkeypatch.setattr(StoredBuilding, "read_place", slowly)
    with ThreadPoolExecutor(2) as others:
        asked = [others.submit(places.of, "attic") for _ in range(2)]
        assert begun.wait(30)
        assert places.of("hall") is places.first
        go_on.set()
        assert asked[0].result(30) is asked[1].result(30)
    assert reads == ["attic"], "once"
