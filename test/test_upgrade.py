"""`vloc upgrade`: the same map in the present format, all at once, with the same poses."""

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import SHIPPED_MAP
from support.map_files import NETWORK, PREVIEW, as_format_3, edit_manifest, joined_map, make_map, replace_file

from vloc_ros.cli import main
from vloc_ros.core.types import PoseEstimate
from vloc_ros.datasets import open_dataset
from vloc_ros.errors import MapError
from vloc_ros.localizer import open_localizer
from vloc_ros.maps import read_map, upgrade_map, write_map
from vloc_ros.maps.manifest_yaml import FORMAT_VERSION

ARRAYS = ("ids", "positions", "normals", "extents", "observations", "mapping_views", "places", "view_places")


def state(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def older(office: Path) -> Path:
    as_format_3(office)
    return office


def require_same(found: Path, expected: Path) -> None:
    one, other = read_map(found), read_map(expected)
    assert one.landmark_map.manifest == other.landmark_map.manifest
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one.landmark_map, name), getattr(other.landmark_map, name))
    for name, array in other.landmark_map.method_data.items():
        np.testing.assert_array_equal(one.landmark_map.method_data[name], array)
        assert one.landmark_map.method_data[name].dtype == array.dtype
    assert one.networks == other.networks
    assert {name: one.files[name] for name in ("preview.png", "mapping.json")} == {
        name: other.files[name] for name in ("preview.png", "mapping.json")
    }


@pytest.mark.parametrize("joined", [False, True])
def test_it_says_the_same_as_before(tmp_path: Path, joined: bool) -> None:
    landmark_map = joined_map() if joined else replace(make_map(), positions=make_map().positions + 1e4)
    write_map(tmp_path / "old", landmark_map, {"network": {"float32": NETWORK, "float16": NETWORK}}, PREVIEW)
    as_format_3(tmp_path / "old")
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    before, after = upgrade_map(tmp_path / "new")
    assert after is not None
    assert (before.format_version, after.format_version) == (3, FORMAT_VERSION)
    assert before.map_id != after.map_id == read_map(tmp_path / "new").map_id
    assert not (tmp_path / "new" / "landmarks.npz").exists()
    require_same(tmp_path / "new", tmp_path / "old")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]


def test_arrays_keep_their_precision(older: Path, tmp_path: Path) -> None:
    """What was written as float64 is not rounded, and so gives the same poses."""
    arrays = dict(np.load(older / "landmarks.npz"))
    arrays["normals"] = arrays["normals"].astype(np.float64)
    arrays["positions"] = arrays["positions"] + np.float64(1e-9)
    np.savez(tmp_path / "landmarks.npz", **arrays)
    replace_file(older, "landmarks.npz", (tmp_path / "landmarks.npz").read_bytes())
    upgrade_map(older, tmp_path / "new")
    require_same(tmp_path / "new", older)


def test_poses_are_the_same_to_the_last_bit(tmp_path: Path) -> None:
    """The shipped map, as it is and made older and new again."""
    shutil.copytree(SHIPPED_MAP, tmp_path / "map")
    if read_map(tmp_path / "map").format_version == FORMAT_VERSION:
        as_format_3(tmp_path / "map")
    upgrade_map(tmp_path / "map", tmp_path / "new")
    images = [frame.image for frame in map(open_dataset("synthetic_room", None, "small").frame, (0, 9, 17))]
    results = [
        [open_localizer(read_map(path), "map").localize(image) for image in images]
        for path in (SHIPPED_MAP, tmp_path / "map", tmp_path / "new")
    ]
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            assert isinstance(one, PoseEstimate)
            assert isinstance(other, PoseEstimate)
            np.testing.assert_array_equal(one.map_from_camera, other.map_from_camera)
            np.testing.assert_array_equal(one.covariance, other.covariance)
            assert one.confidence == other.confidence


def test_the_command_says_what_it_did(older: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old_id = read_map(older).map_id
    assert main(["upgrade", str(older)]) == 0
    said = capsys.readouterr().out
    new_id = read_map(older).map_id
    assert said.splitlines()[0] == f"{older}: format {FORMAT_VERSION}, was 3; same poses"
    assert f"map {old_id} is now map {new_id}" in said
    before = state(older)
    assert main(["upgrade", str(older)]) == 0
    assert f"is of format {FORMAT_VERSION} already, map {new_id}; nothing was written" in capsys.readouterr().out
    assert state(older) == before


def test_elsewhere_leaves_the_map_itself_alone(older: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = state(older)
    assert main(["upgrade", str(older), "--out", str(tmp_path / "deep" / "new")]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'deep' / 'new'}: format {FORMAT_VERSION}, was 3")
    assert state(older) == before
    require_same(tmp_path / "deep" / "new", older)


def test_elsewhere_a_map_of_this_format_is_copied(older: Path, tmp_path: Path) -> None:
    upgrade_map(older)
    before, after = upgrade_map(older, tmp_path / "copy")
    assert after is not None
    assert after.map_id == before.map_id
    assert state(tmp_path / "copy") == state(older)


@pytest.mark.parametrize(("where", "why"), [("other", "there is a map already"), ("office/sub", "is inside the map")])
def test_another_map_is_not_replaced_and_none_lies_in_another(
    older: Path, where: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(older, older.parent / "other")
    before = state(older.parent)
    assert main(["upgrade", str(older), "--out", str(older.parent / where)]) == 1
    assert why in capsys.readouterr().err
    assert state(older.parent) == before


def test_a_link_that_leads_to_itself_is_one_line(older: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loop = older.with_name("loop")
    loop.symlink_to("loop")
    assert main(["upgrade", str(older), "--out", str(loop)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_link_to_a_map_stays_one(older: Path) -> None:
    link = older.with_name("current")
    link.symlink_to(older)
    upgrade_map(link)
    assert link.is_symlink()
    assert read_map(older).format_version == FORMAT_VERSION


@pytest.mark.parametrize("kind", ["nothing", "file", "other", "newer", "damaged"])
def test_what_is_no_map_is_refused_and_stays(older: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    target = older
    if kind == "nothing":
        target = older / "nowhere"
    elif kind == "file":
        target = older / "preview.png"
    elif kind == "other":
        target = older.parent
    elif kind == "newer":
        edit_manifest(older, lambda d: d.update(format_version=FORMAT_VERSION + 1))
    else:
        (older / "network.onnx").write_bytes(b"")
    before = state(older)
    assert main(["upgrade", str(target)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"vloc: error: {target}")
    assert said.count("\n") == 1
    assert state(older) == before


@pytest.mark.parametrize("function", ["fsync", "rename", "mkdir"])
@pytest.mark.parametrize("calls", range(4))
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
def test_a_full_disk_and_an_interruption_leave_the_old_map(
    older: Path, monkeypatch: pytest.MonkeyPatch, function: str, calls: int, error: BaseException
) -> None:
    before, original, left = state(older.parent), getattr(os, function), [calls]

    def fail(*arguments: object, **keywords: object) -> object:
        left[0] -= 1
        if left[0] == -1:
            raise error
        return original(*arguments, **keywords)

    failed = False
    with monkeypatch.context() as patch:
        patch.setattr(os, function, fail)
        try:
            upgrade_map(older)
        except (MapError, KeyboardInterrupt):
            failed = True
    new = read_map(older).format_version == FORMAT_VERSION
    assert new or state(older.parent) == before
    assert new or failed
    assert list(older.parent.iterdir()) == [older]


def test_a_map_in_a_directory_with_other_things_is_not_replaced(older: Path) -> None:
    (older / "notes.txt").write_text("mine")
    before = state(older)
    with pytest.raises(MapError, match=r"notes\.txt"):
        upgrade_map(older)
    assert state(older) == before
