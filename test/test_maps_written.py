"""The map directory: written all or nothing."""

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.map_files import NETWORK, PREVIEW, make_map

from vloc_ros.errors import MapError
from vloc_ros.maps import read_map, write_map


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
            write_map(office, make_map(7), {"network": {"float32": NETWORK}}, PREVIEW)
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
            write_map(target, make_map(7), {"network": {"float32": NETWORK}}, PREVIEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert state(office.parent) == before
    assert list(office.parent.iterdir()) == [office]


def test_replacing_a_map_leaves_nothing_behind(office: Path) -> None:
    write_map(office, make_map(7), {"network": {"float32": NETWORK}}, PREVIEW)
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
            write_map(target, make_map(), {"network": {"float32": NETWORK}}, PREVIEW)
    assert state(tmp_path) == before


def test_a_link_to_a_map_is_followed(office: Path) -> None:
    link = office.with_name("current")
    link.symlink_to(office)
    write_map(link, make_map(7), {"network": {"float32": NETWORK}}, PREVIEW)
    assert link.is_symlink()
    assert len(read_map(office).landmark_map) == 7


@pytest.mark.parametrize(
    "manifest", [{"accuracy": {"median": float("inf")}}, {"training": {"x": object()}}, {"created": ""}]
)
def test_a_map_that_could_not_be_read_is_not_written(office: Path, manifest: dict[str, Any]) -> None:
    before = state(office.parent)
    with pytest.raises(MapError, match="cannot write the map"):
        write_map(office, make_map(**manifest), {"network": {"float32": NETWORK}}, PREVIEW)
    assert state(office.parent) == before
