"""The map directory: round trip, every kind of damage, and writing all or nothing."""

import errno
import hashlib
import io
import os
import pickle
import re
import resource
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from vloc_ros.core.manifest import FORMAT_VERSION, Calibration, GateThresholds, Manifest, NetworkSpec
from vloc_ros.core.transforms import from_quaternion
from vloc_ros.core.types import LandmarkMap
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.maps import pack_map, read_map, unpack_map, write_map
from vloc_ros.maps.landmarks_npz import decode_landmarks, encode_landmarks
from vloc_ros.maps.manifest_yaml import decode_manifest, encode_manifest, record_of
from vloc_ros.methods.vsnet import VsNet

NETWORK = b"any bytes will do here" * 100
PREVIEW = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(6, 8, 3)
FILES = ("map.yaml", "landmarks.npz", "network.onnx", "preview.png", "mapping.json")


def random_pose(rng: np.random.Generator) -> np.ndarray:
    return from_quaternion(rng.normal(size=4), rng.normal(size=3))


def make_map(n: int = 5, offset: float = 0.0, **manifest: object) -> LandmarkMap:
    rng = np.random.default_rng(n)
    normals = rng.normal(size=(n, 3))
    fields = {
        "method": "vsnet",
        "frame_id": "map",
        "created": "2025-06-01T12:00:00Z",
        "network": NetworkSpec(320, 240, 4, VsNet.outputs),
        "gate": GateThresholds(min_inliers=9, min_confidence=0.07),
        "training": {"epochs": 3, "loss": np.float32(0.25), "blocks": (1, 2)},
        "accuracy": {"median_translation_m": None, "recall": 0.5},
        **manifest,
    }
    return LandmarkMap(
        ids=np.arange(n, dtype=np.int32) * 3,
        positions=rng.normal(size=(n, 3)) * 5 + offset,
        normals=normals / np.linalg.norm(normals, axis=1, keepdims=True),
        extents=rng.uniform(0.05, 0.3, n),
        observations=rng.integers(5, 900, n).astype(np.int32),
        manifest=Manifest(**fields),  # type: ignore[arg-type]
        mapping_views=np.stack([random_pose(rng) for _ in range(3)]),
        method_data={"radii": rng.normal(size=(n, 2)).astype(np.float32)},
    )


@pytest.fixture
def office(tmp_path: Path) -> Path:
    write_map(tmp_path / "office", make_map(), {"float32": NETWORK}, PREVIEW)
    return tmp_path / "office"


def refusal(directory: Path) -> str:
    with pytest.raises(MapError) as caught:
        read_map(directory)
    message = str(caught.value)
    assert "\n" not in message
    assert str(directory) in message
    return message


def edit_manifest(directory: Path, edit: Callable[[dict], None]) -> None:
    """Change map.yaml and renew its seal: what a careful attacker or a hand editor would do."""
    document = yaml.safe_load((directory / "map.yaml").read_bytes())
    del document["sha256"]
    edit(document)
    body = yaml.safe_dump(document, sort_keys=False).encode()
    (directory / "map.yaml").write_bytes(body + f"sha256: {hashlib.sha256(body).hexdigest()}\n".encode())


def replace_file(directory: Path, name: str, content: bytes) -> None:
    """Replace a file and renew its record, so that only its content can be objected to."""
    (directory / name).write_bytes(content)
    record = record_of(content)
    edit_manifest(directory, lambda d: d["files"].update({name: {"sha256": record.sha256, "bytes": record.bytes}}))


def test_round_trip(office: Path) -> None:
    written, stored = make_map(), read_map(office)
    read = stored.landmark_map
    assert stored.networks["float32"] == NETWORK
    assert stored.size_bytes == sum(path.stat().st_size for path in office.iterdir())
    assert sorted(path.name for path in office.iterdir()) == sorted(FILES)
    for name in ("ids", "observations", "positions", "normals", "extents", "mapping_views"):
        np.testing.assert_allclose(getattr(read, name), getattr(written, name), atol=1e-4, rtol=0)
        assert getattr(read, name).dtype == getattr(written, name).dtype
    np.testing.assert_array_equal(read.method_data["radii"], written.method_data["radii"])
    assert read.manifest.network == written.manifest.network
    assert read.manifest.gate == written.manifest.gate
    assert read.manifest.training == {"epochs": 3, "loss": 0.25, "blocks": [1, 2]}
    assert read.manifest.accuracy == written.manifest.accuracy


def test_same_map_gives_same_bytes_and_another_map_another_id(office: Path, tmp_path: Path) -> None:
    write_map(tmp_path / "copy", make_map(), {"float32": NETWORK}, PREVIEW)
    assert all((office / name).read_bytes() == (tmp_path / "copy" / name).read_bytes() for name in FILES)
    assert read_map(office).map_id == read_map(tmp_path / "copy").map_id
    write_map(tmp_path / "copy", make_map(), {"float32": NETWORK + b"!"}, PREVIEW)
    assert read_map(office).map_id != read_map(tmp_path / "copy").map_id


@pytest.mark.parametrize(("offset", "kind"), [(0.0, "float32"), (5e3, "float64")])
def test_positions_are_kept_to_a_tenth_of_a_millimetre(offset: float, kind: str) -> None:
    written = make_map(200, offset)
    content = encode_landmarks(written)
    assert np.load(io.BytesIO(content))["positions"].dtype == kind
    assert np.abs(decode_landmarks(content, written.manifest).positions - written.positions).max() < 1e-4


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


def test_newer_format_says_which_it_reads(office: Path) -> None:
    edit_manifest(office, lambda d: d.update(format_version=7, something_new={"a": 1}))
    assert re.search(rf"format_version is 7.*up to {FORMAT_VERSION}", refusal(office))


def as_format_1(document: dict) -> None:
    names = list(document["network"].pop("outputs"))
    document["network"]["output_names"] = names
    document["format_version"] = 1
    del document["scenes"], document["calibration"]["away_scale"]


def as_format_2(document: dict) -> None:
    document["format_version"] = 2
    del document["calibration"]["away_scale"]


@pytest.mark.parametrize("older", [as_format_1, as_format_2])
def test_older_formats_say_the_same(office: Path, older: Callable[[dict], None]) -> None:
    expected = read_map(office).landmark_map.manifest
    edit_manifest(office, older)
    found = read_map(office).landmark_map.manifest
    assert found == expected
    assert found.format_version == FORMAT_VERSION


@pytest.mark.parametrize("names", [None, "labels", ["labels", "secrets"], []])
def test_format_1_is_checked_too(office: Path, names: object) -> None:
    edit_manifest(office, as_format_1)
    edit_manifest(office, lambda d: d["network"].update(output_names=names))
    assert re.search("output", refusal(office))


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
        ("network", 5),
        ("network.width", "320"),
        ("network.width", True),
        ("network.stride", 0),
        ("network.stride", 7),
        ("network.outputs", ["labels"]),
        ("network.outputs", {"labels": "int64"}),
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
    *parents, key = path.split(".", 1)

    def node(document: dict) -> dict:
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


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "..", ".", "a/b", "", "sub\\x", "~root", ".hidden"])
def test_names_that_leave_the_directory(office: Path, name: str) -> None:
    edit_manifest(office, lambda d: d["files"].update({name: {"sha256": "0" * 64, "bytes": 1}}))
    assert repr(name) in refusal(office)


def test_links_that_leave_the_directory(office: Path, tmp_path: Path) -> None:
    for name in FILES:
        (office / name).rename(tmp_path / name)
        (office / name).symlink_to(tmp_path / name)
        assert "outside" in refusal(office)
        (office / name).unlink()
        (tmp_path / name).rename(office / name)
    (office / "network.onnx").rename(office / "blob")
    (office / "network.onnx").symlink_to("blob")
    assert read_map(office).networks["float32"] == NETWORK
    (tmp_path / "current").symlink_to(office)
    assert read_map(tmp_path / "current").networks["float32"] == NETWORK


@pytest.mark.parametrize("content", [b"", b"- 1\n- 2\n", b"{", b"\xff\xfe", b"[" * 600, b"a: 2025-99-99\n", b"\x00"])
def test_map_yaml_that_is_something_else(office: Path, content: bytes) -> None:
    (office / "map.yaml").write_bytes(content)
    assert "map.yaml" in refusal(office)


def test_yaml_cannot_make_objects(office: Path) -> None:
    (office / "map.yaml").write_text("format_version: !!python/object/apply:os.getcwd []\n")
    assert "not valid YAML" in refusal(office)


def arrays_of(landmark_map: LandmarkMap) -> dict[str, np.ndarray]:
    return dict(np.load(io.BytesIO(encode_landmarks(landmark_map))))


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["positions", "normals", "extents", "method_radii"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_landmarks_that_are_not_finite(office: Path, name: str, value: float) -> None:
    arrays = arrays_of(make_map())
    arrays[name].reshape(-1)[2] = value
    replace_file(office, "landmarks.npz", npz(**arrays))
    assert f"'{name}' has 1 values that are not finite" in refusal(office)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"positions": np.zeros((4, 3), np.float32)}, "positions"),
        ({"positions": np.zeros((5, 2), np.float32)}, "positions"),
        ({"positions": np.zeros((5, 3), np.int32)}, "positions"),
        ({"mapping_views": np.zeros((5, 4, 4), np.float32)}, "mapping_views"),
        ({"mapping_views": np.zeros((5, 3, 4), np.int32)}, "mapping_views"),
        ({"ids": np.zeros(5, np.int32)}, "twice"),
        ({"ids": np.zeros(0, np.int32)}, "no landmarks"),
        ({"ids": np.int32(3)}, "single value"),
        ({"observations": np.zeros(5)}, "observations"),
        ({"extents": np.array(["a"] * 5)}, "extents"),
        ({"extra": np.zeros(5)}, "unknown"),
    ],
)
def test_landmark_arrays_of_other_shape_or_type(office: Path, change: dict[str, np.ndarray], word: str) -> None:
    replace_file(office, "landmarks.npz", npz(**{**arrays_of(make_map()), **change}))
    assert word in refusal(office)


def test_missing_landmark_array(office: Path) -> None:
    arrays = arrays_of(make_map())
    del arrays["normals"]
    replace_file(office, "landmarks.npz", npz(**arrays))
    assert "'normals' is missing" in refusal(office)


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("unpickled",))


def test_pickles_are_refused_unopened(office: Path) -> None:
    pickled = np.array([Bomb()] * 5, dtype=object)
    for content in (npz(**arrays_of(make_map()), method_bomb=pickled), pickle.dumps(Bomb())):
        replace_file(office, "landmarks.npz", content)
        assert "landmarks.npz" in refusal(office)
    with pytest.raises(MapError, match="never written"):
        encode_landmarks(replace(make_map(), method_data={"bomb": pickled}))


def test_things_that_are_no_npz(office: Path) -> None:
    single, foreign = io.BytesIO(), io.BytesIO()
    np.save(single, np.zeros(3))
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("ids.npy", b"not an array")
    for content in (b"", b"garbage", single.getvalue(), foreign.getvalue(), encode_landmarks(make_map())[:-40]):
        replace_file(office, "landmarks.npz", content)
        assert "landmarks.npz" in refusal(office)


def test_damaged_npz_raises_nothing_but_map_errors() -> None:
    """Even if somebody renews the hashes: a thousand damaged archives, decoded without a look at the hash."""
    landmark_map, rng = make_map(), np.random.default_rng(0)
    good = encode_landmarks(landmark_map)
    for _ in range(1000):
        damaged = bytearray(good)
        damaged[int(rng.integers(len(good)))] ^= int(rng.integers(1, 256))
        with suppress(MapError):
            decode_landmarks(bytes(damaged), landmark_map.manifest)


def test_damaged_yaml_raises_nothing_but_map_errors() -> None:
    rng = np.random.default_rng(0)
    body = encode_manifest(make_map().manifest, {"x": record_of(b"x")}).rpartition(b"sha256")[0]
    for _ in range(100):
        damaged = bytearray(body)
        damaged[int(rng.integers(len(body)))] ^= int(rng.integers(1, 256))
        seal = f"sha256: {hashlib.sha256(damaged).hexdigest()}\n".encode()
        with suppress(MapError):
            decode_manifest(bytes(damaged) + seal)


def state(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class FullDisk:
    """Lets so many calls of an `os` function pass, then reports a full disk once."""

    def __init__(self, calls_left: int, function: Callable[..., object]) -> None:
        self.calls_left, self.function = calls_left, function

    def __call__(self, *arguments: object) -> object:
        self.calls_left -= 1
        if self.calls_left == -1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.function(*arguments)


@pytest.mark.parametrize("function", ["fsync", "rename", "mkdir"])
@pytest.mark.parametrize("calls", range(5))
def test_a_full_disk_leaves_the_old_map(
    office: Path, monkeypatch: pytest.MonkeyPatch, function: str, calls: int
) -> None:
    before = state(office.parent)
    fault = FullDisk(calls, getattr(os, function))
    message = ""
    with monkeypatch.context() as patch:
        patch.setattr(os, function, fault)
        try:
            write_map(office, make_map(7), {"float32": NETWORK}, PREVIEW)
        except MapError as error:
            message = str(error)
    if fault.calls_left < 0 and message:
        assert message == f"{office}: cannot write the map: No space left on device"
        assert state(office.parent) == before
    else:  # the fault came after the new map was in its place, or never
        assert len(read_map(office).landmark_map) == 7
    assert list(office.parent.iterdir()) == [office]


@pytest.mark.parametrize("existing", [True, False])
def test_a_write_that_the_system_refuses_halfway(office: Path, existing: bool) -> None:
    """No monkeypatching: the kernel lets files grow to 1000 bytes and fails the write beyond."""
    target = office if existing else office.with_name("new")
    before, limits = state(office.parent), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(MapError, match="cannot write the map"):
            write_map(target, make_map(7), {"float32": NETWORK}, PREVIEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert state(office.parent) == before
    assert list(office.parent.iterdir()) == [office]


def test_replacing_a_map_leaves_nothing_behind(office: Path) -> None:
    write_map(office, make_map(7), {"float32": NETWORK}, PREVIEW)
    assert len(read_map(office).landmark_map) == 7
    assert list(office.parent.iterdir()) == [office]


def test_only_maps_are_replaced(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "file"
    home.mkdir()
    (home / "thesis.tex").write_text("years of work")
    file.write_text("x")
    before = state(tmp_path)
    for target, word in ((home, "thesis.tex"), (file, "is a file")):
        with pytest.raises(MapError, match=word):
            write_map(target, make_map(), {"float32": NETWORK}, PREVIEW)
    assert state(tmp_path) == before


def test_a_link_to_a_map_is_followed(office: Path) -> None:
    link = office.with_name("current")
    link.symlink_to(office)
    write_map(link, make_map(7), {"float32": NETWORK}, PREVIEW)
    assert link.is_symlink()
    assert len(read_map(office).landmark_map) == 7


@pytest.mark.parametrize(
    "manifest", [{"accuracy": {"median": float("inf")}}, {"training": {"x": object()}}, {"format_version": 4}]
)
def test_a_map_that_could_not_be_read_is_not_written(office: Path, manifest: dict[str, object]) -> None:
    before = state(office.parent)
    with pytest.raises(MapError, match="cannot write the map"):
        write_map(office, make_map(**manifest), {"float32": NETWORK}, PREVIEW)
    assert state(office.parent) == before


def test_impossible_specs_and_thresholds_are_refused() -> None:
    for bad in ({"width": 0}, {"stride": 7}, {"outputs": {}}, {"outputs": {"labels": "int32[0]"}}):
        with pytest.raises(ConfigError, match="network"):
            replace(NetworkSpec(320, 240, 4, VsNet.outputs), **bad)  # type: ignore[arg-type]
    nan = float("nan")
    thresholds = {"min_inliers": (-1,), "min_confidence": (1.1, nan), "max_reprojection_rmse_px": (0.0, nan)}
    scales = {"position_scale": (0.0, nan), "rotation_scale": (-1.0,), "position_floor_m": (-0.1, nan)}
    for kind, impossible in ((GateThresholds, thresholds), (Calibration, scales)):
        for name, values in impossible.items():
            for value in values:
                with pytest.raises(ConfigError, match=name):
                    kind(**{name: value})  # type: ignore[arg-type]


def test_a_packed_map_is_the_map_it_was(office: Path) -> None:
    stored = read_map(office)
    unpacked = unpack_map(pack_map(stored), "map/data")
    assert unpacked.map_id == stored.map_id
    assert dict(unpacked.files) == {name: (office / name).read_bytes() for name in FILES}
    assert np.array_equal(unpacked.landmark_map.positions, stored.landmark_map.positions)


@pytest.mark.parametrize("size", [0, 1, 100, -200, -22, -1])
def test_a_packed_map_that_is_truncated(office: Path, size: int) -> None:
    with pytest.raises(MapError, match=r"^map/data"):
        unpack_map(pack_map(read_map(office))[:size], "map/data")


def test_a_packed_map_with_any_byte_flipped_is_refused_or_the_same(office: Path) -> None:
    stored = read_map(office)
    packed = pack_map(stored)
    for at in np.random.default_rng(0).integers(0, len(packed), 300):
        damaged = bytearray(packed)
        damaged[at] ^= 0x10
        with suppress(MapError):  # a zip has bytes that mean nothing, such as dates
            assert unpack_map(bytes(damaged), "map/data").map_id == stored.map_id


def test_a_packed_map_that_would_unpack_to_more_than_it_says(office: Path) -> None:
    stored, bomb = read_map(office), io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in stored.files.items():
            archive.writestr(name, b"\0" * 50_000_000 if name == "network.onnx" else content)
    with pytest.raises(MapError, match=r"network\.onnx: 50000000 bytes, expected at most"):
        unpack_map(bomb.getvalue(), "map/data")


def test_a_packed_map_with_a_missing_file(office: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("map.yaml", (office / "map.yaml").read_bytes())
    with pytest.raises(MapError, match=r"^map/data/\S+: missing$"):
        unpack_map(packed.getvalue(), "map/data")


def joined_map() -> LandmarkMap:
    """Landmarks 0, 2, 4 and views 0, 2 are of the hall, the others of the attic."""
    indices = np.arange(5, dtype=np.int32) % 2
    one = make_map()
    manifest = replace(one.manifest, scenes=("hall", "attic"))
    return replace(one, manifest=manifest, scenes=indices, view_scenes=indices[:3])


def test_scenes_come_back_and_are_part_of_the_map_id(tmp_path: Path) -> None:
    original = joined_map()
    swapped = replace(original, scenes=1 - original.scenes)
    for name, landmark_map in {"original": original, "swapped": swapped, "again": original}.items():
        write_map(tmp_path / name, landmark_map, {"float32": NETWORK}, PREVIEW)
    stored = {name: read_map(tmp_path / name) for name in ("original", "swapped", "again")}
    found = stored["original"].landmark_map
    assert found.manifest.scenes == ("hall", "attic")
    np.testing.assert_array_equal(found.scenes, original.scenes)
    np.testing.assert_array_equal(found.view_scenes, original.view_scenes)
    assert stored["original"].map_id == stored["again"].map_id != stored["swapped"].map_id
    assert set(found.method_data) == {"radii"}


def test_a_map_of_one_place_is_of_no_scene(office: Path) -> None:
    assert not [name for name in np.load(office / "landmarks.npz").files if "scene" in name]
    found = read_map(office).landmark_map
    assert found.manifest.scenes == ()
    assert not found.scenes.any()
    assert len(found.scenes) == len(found)
    assert not found.view_scenes.any()
    assert len(found.view_scenes) == len(found.mapping_views)
    assert found.of_scene("") is found


def test_a_scene_is_a_map_of_one_place() -> None:
    joined = joined_map()
    hall = joined.of_scene("hall")
    np.testing.assert_array_equal(hall.ids, joined.ids[[0, 2, 4]])
    np.testing.assert_array_equal(hall.positions, joined.positions[[0, 2, 4]])
    np.testing.assert_array_equal(hall.mapping_views, joined.mapping_views[[0, 2]])
    assert (hall.manifest.frame_id, hall.manifest.scenes) == ("map_hall", ())
    with pytest.raises(ConfigError, match=r"no scene 'cellar'.*hall, attic"):
        joined.of_scene("cellar")
    with pytest.raises(ConfigError, match="no scene 'hall'"):
        make_map().of_scene("hall")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scenes": np.array([0, 1, 2, 0, 1], np.int32)}, "scenes: indices are 0 to 2, the map has 0 to 1"),
        ({"scenes": np.array([0, 1, -1, 0, 1], np.int32)}, "scenes: indices are -1 to 1"),
        ({"scenes": np.array([0, 1], np.int32)}, r"scenes: shape \(2,\)"),
        ({"scenes": np.zeros(5, np.int32)}, "scene 'attic' has no landmarks"),
        ({"view_scenes": np.array([0, 1, 2], np.int32)}, "view_scenes: indices are 0 to 2"),
    ],
)
def test_scenes_that_cannot_be_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(joined_map(), **change)


@pytest.mark.parametrize(
    ("scenes", "message"), [(("a", "a"), "once each"), (("a b",), "'a b' is not made of letters"), (("",), "''")]
)
def test_names_of_scenes_that_cannot_be_are_refused(scenes: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_map(scenes=scenes)


def test_a_joined_map_needs_the_scene_of_every_landmark() -> None:
    one, joined = make_map(), joined_map()
    with pytest.raises(MapError, match="'scenes' is missing"):
        decode_landmarks(encode_landmarks(one), joined.manifest)
    with pytest.raises(MapError, match="scenes: indices are 0 to 1"):
        decode_landmarks(encode_landmarks(joined), one.manifest)
