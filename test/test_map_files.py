"""The files of a map: where they may lie, of what kind they may be, and how large."""

import os
from pathlib import Path

import pytest
from support.map_files import FILES, NETWORK, edit_manifest, refusal

from vloc_ros.maps import read_map


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "..", ".", "a/b", "", "sub\\x", "~root", ".hidden"])
def test_names_that_leave_the_directory(office: Path, name: str) -> None:
    edit_manifest(office, lambda d: d["files"].update({name: {"sha256": "0" * 64, "bytes": 1}}))
    assert repr(name) in refusal(office)


def test_files_may_be_links_to_elsewhere(office: Path, tmp_path: Path) -> None:
    """As `colcon build --symlink-install` makes them. The checksums say whether it is the right content."""
    wanted = read_map(office).map_id
    for name in FILES:
        (office / name).rename(tmp_path / name)
        (office / name).symlink_to(tmp_path / name)
    assert read_map(office).map_id == wanted
    (tmp_path / "current").symlink_to(office)
    assert read_map(tmp_path / "current").map_id == wanted
    (tmp_path / "network.onnx").write_bytes(NETWORK[::-1])
    assert "network.onnx: damaged" in refusal(office)
    (tmp_path / "network.onnx").unlink()
    assert "network.onnx: missing" in refusal(office)


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_regular_file_is_refused_and_never_waited_for(office: Path, name: str) -> None:
    (office / name).unlink()
    os.mkfifo(office / name)
    assert f"{name}: not a regular file" in refusal(office)
    (office / name).unlink()
    for target in ("/dev/zero", "/dev/tty", "/", f"/proc/self/{'f' * 300}", name):
        (office / name).symlink_to(target)
        assert name in refusal(office)
        (office / name).unlink()


def test_a_file_that_is_too_large_is_not_read(office: Path) -> None:
    with (office / "map.yaml").open("ab") as file:
        file.truncate(1 << 40)
    assert f"{1 << 40} bytes, expected at most" in refusal(office)


def test_files_that_are_too_large_together(office: Path) -> None:
    edit_manifest(
        office, lambda d: d["files"].update({f"x{i}": {"sha256": "0" * 64, "bytes": 1 << 29} for i in (1, 2)})
    )
    assert "files: 1073.7 MB together" in refusal(office)
