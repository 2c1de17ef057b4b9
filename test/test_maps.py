"""The map directory: round trip, ids, older formats, places."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.map_files import (
    FILES,
    NETWORK,
    PREVIEW,
    as_format_3,
    edit_manifest,
    joined_map,
    make_map,
    refusal,
)

from vloc_ros.core.lens import LensCorrection
from vloc_ros.core.manifest import Calibration, GateThresholds, Place, places_apart
from vloc_ros.core.model_spec import GridSpec
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.maps import read_map, write_map
from vloc_ros.maps.manifest_yaml import FORMAT_VERSION
from vloc_ros.maps.regions_npz import decode_regions, encode_regions
from vloc_ros.methods.vsnet.method import VSNetMethod


def test_round_trip(office: Path) -> None:
    written, stored = make_map(), read_map(office)
    read = stored.landmark_map
    assert stored.networks["network"]["float32"] == NETWORK
    assert stored.size_bytes == sum(path.stat().st_size for path in office.iterdir())
    assert sorted(path.name for path in office.iterdir()) == sorted(FILES)
    for name in ("ids", "observations", "positions", "normals", "extents", "mapping_views"):
        np.testing.assert_allclose(getattr(read, name), getattr(written, name), atol=1e-4, rtol=0)
        assert getattr(read, name).dtype == getattr(written, name).dtype
    np.testing.assert_array_equal(read.method_data["radii"], written.method_data["radii"])
    assert read.manifest.models == written.manifest.models
    assert read.manifest.gate == written.manifest.gate
    assert read.manifest.training == {"epochs": 3, "loss": 0.25, "blocks": [1, 2]}
    assert read.manifest.accuracy == written.manifest.accuracy


def test_same_map_gives_same_bytes_and_another_map_another_id(office: Path, tmp_path: Path) -> None:
    write_map(tmp_path / "copy", make_map(), {"network": {"float32": NETWORK}}, PREVIEW)
    assert all((office / name).read_bytes() == (tmp_path / "copy" / name).read_bytes() for name in FILES)
    assert read_map(office).map_id == read_map(tmp_path / "copy").map_id
    write_map(tmp_path / "copy", make_map(), {"network": {"float32": NETWORK + b"!"}}, PREVIEW)
    assert read_map(office).map_id != read_map(tmp_path / "copy").map_id


@pytest.mark.parametrize(("offset", "kind"), [(0.0, "float32"), (5e3, "float64")])
def test_positions_are_kept_to_a_tenth_of_a_millimetre(offset: float, kind: str) -> None:
    written = make_map(200, offset)
    content = encode_regions(written)
    assert np.load(io.BytesIO(content))["positions"].dtype == kind
    assert np.abs(decode_regions(content, written.manifest).positions - written.positions).max() < 1e-4


def test_only_a_map_of_unknown_scale_says_so(office: Path) -> None:
    assert b"unknown_scale" not in (office / "map.yaml").read_bytes()
    assert not read_map(office).landmark_map.manifest.unknown_scale
    write_map(office, make_map(unknown_scale=True), {"network": {"float32": NETWORK}}, PREVIEW)
    manifest = read_map(office).landmark_map.manifest
    assert manifest.unknown_scale
    manifest.require_scale("office", accepted=True)
    with pytest.raises(MapError, match=r"office: its scale is unknown.*accept_unknown_scale"):
        manifest.require_scale("office", accepted=False)
    assert as_unknown_scale(office, 1).endswith("unknown_scale is 1, expected true or false")


def as_unknown_scale(office: Path, value: object) -> str:
    edit_manifest(office, lambda document: document.update(unknown_scale=value))
    return refusal(office)


def test_newer_format_says_which_it_reads(office: Path) -> None:
    edit_manifest(office, lambda d: d.update(format_version=7, something_new={"a": 1}))
    assert re.search(rf"format_version is 7.*up to {FORMAT_VERSION}", refusal(office))


def as_format_1(directory: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        names = list(document["network"].pop("outputs"))
        document["network"]["output_names"] = names
        document["format_version"] = 1
        del document["scenes"], document["calibration"]["away_scale"]

    as_format_3(directory)
    edit_manifest(directory, edit)


def as_format_2(directory: Path) -> None:
    as_format_3(directory)
    edit_manifest(directory, lambda d: [d.update(format_version=2), d["calibration"].pop("away_scale")])


@pytest.mark.parametrize(("older", "version"), [(as_format_1, 1), (as_format_2, 2), (as_format_3, 3)])
def test_older_formats_say_the_same(office: Path, older: Callable[[Path], None], version: int) -> None:
    expected = read_map(office)
    older(office)
    found = read_map(office)
    assert found.landmark_map.manifest == expected.landmark_map.manifest
    assert (found.format_version, expected.format_version) == (version, FORMAT_VERSION)
    for name in ("positions", "normals", "extents", "ids", "observations", "mapping_views", "places", "view_places"):
        np.testing.assert_array_equal(getattr(found.landmark_map, name), getattr(expected.landmark_map, name))


def test_places_of_format_3_were_called_scenes(tmp_path: Path) -> None:
    write_map(tmp_path / "map", joined_map(), {"network": {"float32": NETWORK}}, PREVIEW)
    as_format_3(tmp_path / "map")
    found = read_map(tmp_path / "map").landmark_map
    assert found.manifest.places == (Place("hall", "map_hall"), Place("attic", "map_attic"))
    np.testing.assert_array_equal(found.places, joined_map().places)
    np.testing.assert_array_equal(found.view_places, joined_map().view_places)


@pytest.mark.parametrize(
    ("frame_id", "name"),
    [("map", "map"), ("robot1/map", "robot1_map"), ("2nd", "place_2nd"), ("地図", "place___"), ("x" * 99, "x" * 64)],
)
def test_the_only_place_of_an_older_map_is_called_as_its_frame(tmp_path: Path, frame_id: str, name: str) -> None:
    write_map(tmp_path / "map", make_map(frame_id=frame_id), {"network": {"float32": NETWORK}}, PREVIEW)
    as_format_3(tmp_path / "map")
    assert read_map(tmp_path / "map").landmark_map.manifest.places == (Place(name, frame_id),)


@pytest.mark.parametrize("names", [None, "labels", ["labels", "secrets"], []])
def test_format_1_is_checked_too(office: Path, names: object) -> None:
    as_format_1(office)
    edit_manifest(office, lambda d: d["network"].update(output_names=names))
    assert re.search("output", refusal(office))


def test_impossible_specs_and_thresholds_are_refused() -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"width": 0},
        {"stride": 7},
        {"outputs": {}},
        {"outputs": {"labels": "int32[0]"}},
    )
    for bad in changes:
        with pytest.raises(ConfigError, match="network"):
            replace(GridSpec(320, 240, 4, VSNetMethod.outputs), **bad)
    nan = float("nan")
    thresholds = {"min_inliers": (-1,), "min_confidence": (1.1, nan), "max_reprojection_rmse_px": (0.0, nan)}
    scales = {"position_scale": (0.0, nan), "rotation_scale": (-1.0,), "position_floor_m": (-0.1, nan)}
    for kind, impossible in ((GateThresholds, thresholds), (Calibration, scales)):
        for name, values in impossible.items():
            for value in values:
                with pytest.raises(ConfigError, match=name):
                    kind(**{name: value})  # type: ignore[arg-type]


def test_places_come_back_and_are_part_of_the_map_id(tmp_path: Path) -> None:
    original = joined_map()
    swapped = replace(original, places=1 - original.places)
    for name, landmark_map in {"original": original, "swapped": swapped, "again": original}.items():
        write_map(tmp_path / name, landmark_map, {"network": {"float32": NETWORK}}, PREVIEW)
    stored = {name: read_map(tmp_path / name) for name in ("original", "swapped", "again")}
    found = stored["original"].landmark_map
    assert found.manifest.place_names == ("hall", "attic")
    np.testing.assert_array_equal(found.places, original.places)
    np.testing.assert_array_equal(found.view_places, original.view_places)
    assert stored["original"].map_id == stored["again"].map_id != stored["swapped"].map_id
    assert set(found.method_data) == {"radii"}


def test_a_map_of_one_place_has_a_place_with_a_name(office: Path) -> None:
    found = read_map(office).landmark_map
    assert found.manifest.places == (Place("map", "map"),)
    assert not found.places.any()
    assert len(found.places) == len(found)
    assert not found.view_places.any()
    assert len(found.view_places) == len(found.mapping_views)
    assert found.of_place(None) is found.of_place("map") is found
    as_format_3(office)
    assert not [name for name in np.load(office / "landmarks.npz").files if "scene" in name]


def test_a_place_is_a_map_of_one_place() -> None:
    joined = joined_map()
    hall = joined.of_place("hall")
    np.testing.assert_array_equal(hall.ids, joined.ids[[0, 2, 4]])
    np.testing.assert_array_equal(hall.positions, joined.positions[[0, 2, 4]])
    np.testing.assert_array_equal(hall.mapping_views, joined.mapping_views[[0, 2]])
    assert (hall.manifest.frame_id, hall.manifest.places) == ("map_hall", (Place("hall", "map_hall"),))
    with pytest.raises(ConfigError, match=r"no place 'cellar'.*hall, attic"):
        joined.of_place("cellar")
    lenses = {place.name: LensCorrection(50, 50, 32, 24, (), 1.01, 0.0) for place in joined.manifest.places}
    recorded = replace(joined, manifest=replace(joined.manifest, lenses=lenses))
    assert set(recorded.of_place("hall").manifest.lenses) == {"hall"}
    with pytest.raises(ConfigError, match="no place 'hall'"):
        make_map().of_place("hall")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"places": np.array([0, 1, 2, 0, 1], np.int32)}, "places: indices are 0 to 2, the map has 0 to 1"),
        ({"places": np.array([0, 1, -1, 0, 1], np.int32)}, "places: indices are -1 to 1"),
        ({"places": np.array([0, 1], np.int32)}, r"places: shape \(2,\)"),
        ({"places": np.zeros(5, np.int32)}, "place 'attic' has no landmarks"),
        ({"view_places": np.array([0, 1, 2], np.int32)}, "view_places: indices are 0 to 2"),
    ],
)
def test_places_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(joined_map(), **change)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (("a", "a"), "once each"),
        (("a b",), "'a b' is not made of at most 64 letters"),
        (("", "b"), "''"),
        (("",), "''"),
        (("x" * 65,), "at most 64 letters"),
    ],
)
def test_names_of_places_that_cannot_be_are_refused(places: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_map(places=places_apart(places, "map"))


@pytest.mark.parametrize("frame_id", ["", " ", "/map", "my map", "a\n", "a\x1b[31m", "\ud800", "x" * 129, "a\u2028"])
def test_names_of_frames_that_cannot_be_are_refused(frame_id: str) -> None:
    with pytest.raises(ConfigError, match="frame_id is "):
        make_map(frame_id=frame_id)


@pytest.mark.parametrize("frame_id", ["map", "robot1/map", "map_2", "Küche", "地図", "x" * 128])
def test_names_of_frames_that_can_be(frame_id: str) -> None:
    assert make_map(frame_id=frame_id).manifest.frame_id == frame_id


def test_a_joined_map_needs_the_place_of_every_landmark() -> None:
    one, joined = make_map(), joined_map()
    arrays = dict(np.load(io.BytesIO(encode_regions(one))))
    del arrays["places"], arrays["view_places"]
    content = io.BytesIO()
    np.savez(content, **arrays)
    with pytest.raises(MapError, match="'scenes' is missing"):
        decode_regions(content.getvalue(), joined.manifest, before_4=True)
    with pytest.raises(MapError, match="'places' is missing"):
        decode_regions(content.getvalue(), joined.manifest)
    with pytest.raises(MapError, match="places: indices are 0 to 1"):
        decode_regions(encode_regions(joined), one.manifest)
