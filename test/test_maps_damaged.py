"""The map directory: every kind of damage is named."""

import hashlib
import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.map_files import FILES, NETWORK, PREVIEW, as_format_3, edit_manifest, make_map, refusal, replace_file

from vloc_ros.errors import MapError
from vloc_ros.maps import read_map, strict_yaml, write_map
from vloc_ros.maps.manifest_yaml import decode_manifest, encode_manifest, record_of


@pytest.mark.parametrize("name", FILES)
def test_any_flipped_bit_is_noticed(office: Path, name: str) -> None:
    good = (office / name).read_bytes()
    for position in range(0, len(good), max(1, len(good) // 40)):
        damaged = bytearray(good)
        damaged[position] ^= 1 << position % 8
        (office / name).write_bytes(damaged)
        assert name in refusal(office)


@pytest.mark.parametrize("name", FILES)
def test_missing_truncated_and_grown_files_are_named(office: Path, name: str) -> None:
    good = (office / name).read_bytes()
    for content in (b"", good[:-1], good + b"x"):
        (office / name).write_bytes(content)
        assert name in refusal(office)
    (office / name).unlink()
    assert "missing" in refusal(office)
    (office / name).mkdir()
    assert "not a regular file" in refusal(office)


def test_a_map_that_is_not_there_or_a_file(tmp_path: Path) -> None:
    assert "no such map directory" in refusal(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    assert "not a directory" in refusal(tmp_path / "file")


def test_hand_edited_manifest_needs_a_new_seal(office: Path) -> None:
    text = (office / "map.yaml").read_text()
    (office / "map.yaml").write_text(text.replace("min_inliers: 9", "min_inliers: 1"))
    assert "sha256 in its last line" in refusal(office)
    edit_manifest(office, lambda d: d["gate"].update(min_inliers=1))
    assert read_map(office).landmark_map.manifest.gate.min_inliers == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("method", 3),
        ("method", ""),
        ("frame_id", None),
        ("created", ["x"]),
        ("places", None),
        ("places", {}),
        ("places", []),
        ("image", 5),
        ("image.width", "320"),
        ("image.width", True),
        ("image.height", 0),
        ("models", []),
        ("models", {"oracle": {}}),
        ("models", {"network": 3}),
        ("gate.min_inlier_ratio", 1.5),
        ("gate.min_confidence", float("nan")),
        ("gate.max_reprojection_rmse_px", -1),
        ("calibration", None),
        ("calibration.position_scale", 0),
        ("calibration.rotation_floor_deg", -1),
        ("training", []),
        ("accuracy", {1: 2}),
        ("format_version", "1"),
        ("format_version", 0),
        ("files", None),
        ("files.preview.png", {}),
    ],
)
def test_a_wrong_or_missing_key_is_named(office: Path, path: str, value: object) -> None:
    check_wrong_and_missing(office, path, value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("method", 3),
        ("frame_id", None),
        ("network", 5),
        ("network.width", "320"),
        ("network.width", True),
        ("network.stride", 0),
        ("network.stride", 7),
        ("network.outputs", ["labels"]),
        ("network.outputs", {"labels": "int64"}),
        ("scenes", "hall"),
        ("scenes", ["hall", 3]),
        ("gate.min_confidence", float("nan")),
        ("calibration", None),
        ("files", None),
    ],
)
def test_a_wrong_or_missing_key_of_format_3_is_named(office: Path, path: str, value: object) -> None:
    as_format_3(office)
    check_wrong_and_missing(office, path, value)


@pytest.mark.parametrize("key", ["places", "image", "models"])
def test_format_3_has_no_keys_of_format_4(office: Path, key: str) -> None:
    as_format_3(office)
    edit_manifest(office, lambda d: d.update({key: {}}))
    assert f"{key} is no key of this format" in refusal(office)


def test_landmarks_of_format_3_have_no_arrays_of_format_4(office: Path) -> None:
    as_format_3(office)
    arrays = dict(np.load(office / "landmarks.npz"))
    content = io.BytesIO()
    np.savez(content, **arrays, places=np.zeros(5, np.int32))
    replace_file(office, "landmarks.npz", content.getvalue())
    assert "landmarks.npz: array 'places' is unknown" in refusal(office)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d["places"][0].update(name=""), "places[0].name is ''"),
        (lambda d: d["places"][0].update(name="a b"), "places: 'a b' is not made of"),
        (lambda d: d["places"][0].update(frame_id="/map"), "frame_id is '/map'"),
        (lambda d: d["places"][0].update(color="red"), "places[0].color is no key"),
        (lambda d: d["places"][0].pop("map_from_place"), "places[0].map_from_place is missing"),
        (lambda d: d["places"].append(dict(d["places"][0])), "must be named once each"),
        (lambda d: d["places"][0].update(map_from_place=[0, 0, 0, 1]), "no x y z qx qy qz qw"),
        (lambda d: d["places"][0].update(map_from_place=[0, 0, 0, 0, 0, 0, 2]), "no x y z qx qy qz qw"),
        (lambda d: d["places"][0].update(map_from_place=[1e9, 0, 0, 0, 0, 0, 1]), "from the map's origin"),
        (lambda d: d["models"]["network"]["inputs"].update(image="uint8[1, 1, 3]"), "the map's images are 320x240"),
        (lambda d: d["models"]["network"]["outputs"].update(labels="int64[3]"), "'int64[3]' is no tensor"),
        (lambda d: d["models"]["network"]["outputs"].update(labels="int32[99999, 99999]"), "at most"),
        (lambda d: d["models"]["network"].update(outputs={}), "has no outputs"),
        (lambda d: d["models"]["network"]["files"].update(float32="../x"), "models.network.files is"),
        (lambda d: d["models"]["network"].update(files={}), "models.network.files is"),
        (lambda d: d["models"]["network"]["files"].update(float64="x.onnx"), "models.network.files is"),
        (lambda d: d["files"].pop("network.onnx"), "files.network.onnx is missing"),
        (lambda d: d["files"].pop("regions.npz"), "files.regions.npz is missing"),
        (
            lambda d: d["files"].update({"extractor.onnx": dict(d["files"]["network.onnx"])}),
            "extractor.onnx belongs to none",
        ),
        (lambda d: d.update(models={}), "network.onnx belongs to none"),
    ],
)
def test_places_and_models_that_cannot_be_are_named(
    office: Path, edit: Callable[[dict[str, Any]], object], words: str
) -> None:
    edit_manifest(office, edit)
    assert words in refusal(office)


def check_wrong_and_missing(office: Path, path: str, value: object) -> None:
    *parents, key = path.split(".", 1)

    def node(document: dict[str, Any]) -> dict[str, Any]:
        return document[parents[0]] if parents else document

    good = (office / "map.yaml").read_bytes()
    edit_manifest(office, lambda d: node(d).update({key: value}))
    assert key.split("_")[0] in refusal(office)
    (office / "map.yaml").write_bytes(good)
    edit_manifest(office, lambda d: node(d).pop(key))
    assert path in refusal(office)


def test_unknown_keys_are_refused(office: Path) -> None:
    edit_manifest(office, lambda d: d["gate"].update(min_inlayers=3))
    assert "gate.min_inlayers" in refusal(office)


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, "\ud800", "a\0b"])
def test_a_path_that_no_directory_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(MapError) as caught:
        read_map(tmp_path / name)
    assert str(caught.value).isprintable()


def reseal(directory: Path, body: bytes) -> None:
    """A map.yaml of this content under a seal that is right."""
    seal = f"sha256: {hashlib.sha256(body).hexdigest()}\n".encode()
    (directory / "map.yaml").write_bytes(body + seal)


@pytest.mark.parametrize("content", [b"", b"- 1\n- 2\n", b"{", b"\xff\xfe", b"[" * 600, b"a: 2025-99-99\n", b"\x00"])
def test_map_yaml_that_is_something_else(office: Path, content: bytes) -> None:
    (office / "map.yaml").write_bytes(content)
    assert "map.yaml: content does not match the sha256" in refusal(office)
    reseal(office, content + b"\n")
    assert "map.yaml" in refusal(office)


def test_nothing_is_parsed_before_the_seal_was_found_right(office: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (office / "map.yaml").open("ab") as file:
        file.write(b"x: 1\n")
    monkeypatch.setattr(strict_yaml, "load", lambda content: pytest.fail("parsed"))
    assert "sha256 in its last line" in refusal(office)


def test_yaml_cannot_make_objects(office: Path) -> None:
    reseal(office, b"format_version: !!python/object/apply:os.getcwd []\n")
    assert "not valid YAML in line 1: the tag" in refusal(office)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("frame_id", "\ud800"),
        ("frame_id", "x" * 300),
        ("frame_id", "two words"),
        ("created", "a\nb"),
        ("method", "x" * 5000),
        ("places", [{"name": "y" * 300, "frame_id": "map", "map_from_place": None}]),
        ("image.width", 10**12),
        ("image.width", 10**30),
        ("calibration.away_scale", 1e200),
        ("calibration.confidence_bias", -1e300),
    ],
)
def test_values_that_no_map_can_have_are_named(office: Path, path: str, value: object) -> None:
    *parents, key = path.split(".", 1)
    edit_manifest(office, lambda d: (d[parents[0]] if parents else d).update({key: value}))
    assert key.split("_")[0].replace("width", "image") in refusal(office)


@pytest.mark.parametrize(
    ("path", "value"), [("scenes", ["y" * 300]), ("network.width", 10**12), ("network.width", 10**30)]
)
def test_values_that_no_map_of_format_3_can_have_are_named(office: Path, path: str, value: object) -> None:
    as_format_3(office)
    *parents, key = path.split(".", 1)
    edit_manifest(office, lambda d: (d[parents[0]] if parents else d).update({key: value}))
    assert key.split("_")[0].replace("width", "network") in refusal(office)


def test_texts_of_any_file_name_can_be_written(tmp_path: Path) -> None:
    """A map is not lost because the file that named its frames has a name of no encoding."""
    notes = {"split": "a\nb\udcff\x1b[31m", "preset": "1e3", "root": "yes", "Ort": "Küche\u3000地図", "\x07": "~"}
    write_map(tmp_path / "map", make_map(training=notes), {"network": {"float32": NETWORK}}, PREVIEW)
    expected = {**notes, "split": r"a\nb\udcff\x1b[31m", r"\x07": "~"}
    del expected["\x07"]
    assert read_map(tmp_path / "map").landmark_map.manifest.training == expected


def test_damaged_yaml_raises_nothing_but_map_errors() -> None:
    rng = np.random.default_rng(0)
    body = encode_manifest(make_map().manifest, {"network.onnx": record_of(b"x")}).rpartition(b"sha256")[0]
    for _ in range(100):
        damaged = bytearray(body)
        damaged[int(rng.integers(len(body)))] ^= int(rng.integers(1, 256))
        seal = f"sha256: {hashlib.sha256(damaged).hexdigest()}\n".encode()
        with suppress(MapError):
            decode_manifest(bytes(damaged) + seal)
