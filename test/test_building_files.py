"""Buildings on a disk: read as they were written, what is damaged or of an older version, and what is no place."""

import errno
import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.building_scenes import NAMES, place_map, seeing, write_place, write_rooms
from support.map_files import NETWORK, PREVIEW
from support.sparse_scenes import blank

from vloc_ros.core.manifest import Place
from vloc_ros.errors import MapError, NoMapError
from vloc_ros.localizer import load_localizer
from vloc_ros.maps import read_map, write_map
from vloc_ros.maps.building import enter_place, read_building
from vloc_ros.maps.names import PLACES
from vloc_ros.maps.reader import is_building
from vloc_ros.training.building import put_together

OTHER_NETWORK = NETWORK + bytes([0x1A, 0x00])  # the same with an empty field


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
