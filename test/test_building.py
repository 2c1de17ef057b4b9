"""Buildings: which place an image shows, poses in its map alone, what is read and when, and what is refused."""

import errno
import hashlib
import json
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.building_scenes import NAMES, look_alike, place_map, seeing, write_place, write_rooms
from support.map_files import NETWORK, PREVIEW
from support.sparse_scenes import POSE, blank, unit

from vloc_ros.core import place_index
from vloc_ros.core.manifest import Place
from vloc_ros.core.place_index import PlaceIndex, quantized, sorted_index
from vloc_ros.core.place_kernels import largest
from vloc_ros.core.query import Prior, Query
from vloc_ros.core.types import PoseEstimate, Rejection
from vloc_ros.errors import ConfigError, MapError, NoMapError
from vloc_ros.localizer import load_localizer
from vloc_ros.maps import StoredBuilding, StoredMap, read_map, write_map
from vloc_ros.maps.building import enter_place, read_building
from vloc_ros.maps.names import PLACES
from vloc_ros.maps.reader import is_building
from vloc_ros.training.building import put_together

OTHER_NETWORK = NETWORK + bytes([0x1A, 0x00])  # the same with an empty field


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


def test_a_building_is_read_as_it_was_written(tmp_path: Path) -> None:
    house = tmp_path / "house"
    maps = write_rooms(house)
    assert is_building(house)
    stored = read_building(house)
    assert stored.landmark_map.manifest.place_names == NAMES
    assert stored.landmark_map.manifest.frame_of("attic") == "map_attic"
    assert stored.landmark_map.points is None
    for name, landmark_map in maps.items():
        np.testing.assert_allclose(stored.landmark_map.of_place(name).positions, landmark_map.positions, atol=1e-4)
        np.testing.assert_allclose(stored.landmark_map.views_of(name), landmark_map.mapping_views, atol=1e-6)
    assert isinstance(stored.index.descriptors.base, np.memmap) or isinstance(stored.index.descriptors, np.memmap)
    before, words = stored.map_id, stored.index.words
    put_together(house, NAMES, "map")
    assert read_building(house).map_id == before
    write_place(house, "loft", place_map("loft", 8))
    put_together(house, [*NAMES, "loft"], "map")
    again = read_building(house)
    assert again.landmark_map.manifest.place_names == (*NAMES, "loft")
    np.testing.assert_array_equal(again.index.words, words)
    assert len(list(house.glob("recognition-*"))) == 1


def test_a_place_that_is_aligned_lies_in_the_frame_of_the_building(tmp_path: Path) -> None:
    house = tmp_path / "house"
    write_rooms(house)
    aligned = place_map("attic", 1)
    at = (1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0)
    manifest = replace(aligned.manifest, frame_id="map", places=(Place("attic", "map_attic", at),))
    write_place(house, "attic", replace(aligned, manifest=manifest))
    put_together(house, NAMES, "map")
    places = read_building(house).landmark_map.manifest
    assert places.place_of("attic").map_from_place == at
    assert places.frame_to_publish("attic") == "map"
    assert places.frame_to_publish("hall") == "map_hall"


def test_what_is_damaged_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = tmp_path / "house"
    maps = write_rooms(house)
    localizer = seeing(monkeypatch, house, maps["attic"])
    write_place(house, "attic", place_map("attic", 33))
    with pytest.raises(MapError, match=r"attic: was changed after the building was put together"):
        localizer.localize(blank())
    (array,) = house.glob("recognition-*/descriptors.npy")
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    with pytest.raises(MapError, match=r"descriptors\.npy: damaged"):
        load_localizer(house)
    said = house / "building.json"
    good = json.loads(said.read_text())
    for broken in ("[]", "{", json.dumps({**good, "places": {}}), json.dumps({**good, "recognition": "../.."}),
                   json.dumps({**good, "format_version": 9}),
                   said.read_text().replace('"name": "attic"', '"name": "loft"'),
                   re.sub(r'"bytes": \d+', '"bytes": 1e400', said.read_text())):  # fmt: skip
        said.write_text(broken)
        with pytest.raises(MapError, match=r"building\.json"):
            read_building(house)
    with pytest.raises(NoMapError):
        read_building(tmp_path / "nowhere")


def test_a_building_that_was_put_together_anew_has_to_be_read_again(tmp_path: Path) -> None:
    """What is wrong is not the place that was mapped anew."""
    house = tmp_path / "house"
    write_rooms(house)
    before = read_building(house)
    write_place(house, "attic", place_map("attic", 33))
    put_together(house, NAMES, "map")
    with pytest.raises(MapError, match=r"house: was changed since it was read"):
        before.read_place("attic")
    before.read_place("hall")
    read_building(house).read_place("attic")


def test_sorted_keys_rename_no_place(tmp_path: Path) -> None:
    house = tmp_path / "house"
    write_rooms(house)
    assert sorted(NAMES) != list(NAMES)
    said = house / "building.json"
    whole = json.loads(said.read_text())
    said.write_text(json.dumps(whole, sort_keys=True))
    sorted_keys = read_building(house)
    assert tuple(sorted_keys.places) == sorted_keys.landmark_map.manifest.place_names == NAMES
    older = {key: value for key, value in whole.items() if key != "order"}
    said.write_text(json.dumps(older))
    assert tuple(read_building(house).places) == NAMES
    for order in (None, NAMES[:2], [*NAMES, "hall"], 3 * NAMES[:1] + NAMES[3:], 7, [1, "hall"], "null"):
        wrong = older if order is None else {**whole, "order": None if order == "null" else order}
        said.write_text(json.dumps(wrong, sort_keys=True))
        with pytest.raises(MapError, match=r"building\.json: does not say in which order"):
            read_building(house)
    said.write_text(json.dumps({**whole, "order": NAMES[::-1]}))
    with pytest.raises(MapError, match=r"building\.json: recognition-[0-9a-f]+ is of places in another order"):
        read_building(house)
    for damaged in (said.read_bytes(), b"\xff"):
        said.write_bytes(damaged)
        put_together(house, NAMES, "map")
        assert json.loads(said.read_text()) == whole


def test_a_building_of_an_older_version_is_read(tmp_path: Path) -> None:
    """Whose folder is called by its files alone, not by the order of the places too."""
    house = tmp_path / "house"
    write_rooms(house)
    said = json.loads((house / "building.json").read_text())
    older = f"recognition-{hashlib.sha256(json.dumps(said['files'], sort_keys=True).encode()).hexdigest()[:12]}"
    assert older != said["recognition"]
    (house / said["recognition"]).rename(house / older)
    (house / "building.json").write_text(json.dumps({**said, "recognition": older}))
    assert tuple(read_building(house).places) == NAMES


def test_a_building_that_cannot_be_written_is_an_error_of_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = tmp_path / "house"
    write_rooms(house)
    before = (house / "building.json").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MapError, match=r"building\.json: cannot be written: No space left on device"):
        enter_place(house, "attic")
    assert (house / "building.json").read_bytes() == before


def test_the_networks_of_places_are_not_hashed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What map.yaml says of them was checked when the map was read."""
    house = tmp_path / "house"
    maps = write_rooms(house, NAMES[:2])
    stored = read_map(house / PLACES / "hall")
    assert stored.sha256["extractor.onnx"] == hashlib.sha256(stored.files["extractor.onnx"]).hexdigest()
    places = seeing(monkeypatch, house, maps["hall"]).places
    assert places.of("attic").sessions is places.first.sessions
    other = place_map("attic", 1)
    assert other.manifest.features is not None
    features = replace(other.manifest.features, extractor_sha256=hashlib.sha256(OTHER_NETWORK).hexdigest())
    other = replace(other, manifest=replace(other.manifest, features=features))
    write_map(house / PLACES / "attic", other, {"extractor": {"float32": OTHER_NETWORK}}, PREVIEW)
    put_together(house, NAMES[:2], "map")
    places = seeing(monkeypatch, house, maps["hall"]).places
    assert places.of("attic").sessions is not places.first.sessions


def test_maps_that_are_no_places_are_refused(tmp_path: Path, office: Path) -> None:
    house = tmp_path / "house"
    write_rooms(house)
    office.rename(house / PLACES / "office")
    with pytest.raises(MapError, match="place office: its map has no points"):
        put_together(house, [*NAMES, "office"], "map")
    assert read_building(house).landmark_map.manifest.place_names == NAMES
    with pytest.raises(MapError, match="garage"):
        put_together(house, [*NAMES, "garage"], "map")
    assert read_map(house / PLACES / "hall").landmark_map.points is not None
