"""A disk that is full while a bag is written: one line, and nothing is left behind."""

import errno
import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support.bag_scenes import CAMERA, write_truth, write_view

from vloc_ros.bags.writer import COMPRESSIONS_OF, Compression, Storage, open_writer
from vloc_ros.errors import ConfigError

CASES: list[tuple[Storage, Compression]] = [
    (storage, compression) for storage in COMPRESSIONS_OF for compression in COMPRESSIONS_OF[storage]
]
NOISE = np.random.default_rng(0).integers(0, 256, (CAMERA.height, CAMERA.width, 3), np.uint8).reshape(-1)


def write_bag(path: Path, storage: Storage, compression: Compression = "none", images: int = 20) -> None:
    with open_writer(path, storage, compression) as bag:
        for index in range(images):
            write_view(bag, index, data=NOISE)
            write_truth(bag, index)


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: what a system says then is much like what it says of a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("storage", "compression"), CASES)
@pytest.mark.parametrize("limit", [2_000, 5_000])
def test_files_that_may_not_grow(tmp_path: Path, storage: Storage, compression: Compression, limit: int) -> None:
    with small_files(limit), pytest.raises(ConfigError, match=r"bag: cannot be written: [^\n]+$"):
        write_bag(tmp_path / "bag", storage, compression)
    assert list(tmp_path.iterdir()) == []
    write_bag(tmp_path / "bag", storage, compression)  # and when there is space, it works


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["add_connection", "write", "close"])
@pytest.mark.parametrize(
    ("storage", "writer", "error"),
    [
        (
            "sqlite3",
            "rosbags.rosbag2.storage_sqlite3.Sqlite3Writer",
            sqlite3.OperationalError("database or disk is full"),
        ),
        ("mcap", "rosbags.rosbag2.storage_mcap.McapWriter", FULL),
    ],
)
def test_a_full_disk_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: Storage, writer: str, error: Exception, where: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(f"{writer}.{where}", full)
    with pytest.raises(ConfigError, match=r"bag: cannot be written: .*(full|space)"):
        write_bag(tmp_path / "bag", storage, images=2)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_when_metadata_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise FULL

    monkeypatch.setattr(Path, "write_text", full)
    for storage in ("mcap", "sqlite3"):
        with pytest.raises(ConfigError, match="bag: cannot be written: No space left"):
            write_bag(tmp_path / "bag", storage, images=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["run#2", "what?", "50%25"])
def test_paths_that_sqlite_would_misunderstand_are_refused(tmp_path: Path, name: str) -> None:
    for path in (tmp_path / name / "bag", tmp_path / name):
        with pytest.raises(ConfigError, match=r"an sqlite3 bag cannot have . in its path, an mcap can"):
            write_bag(path, "sqlite3")
        assert list(tmp_path.iterdir()) == []
    write_bag(tmp_path / name / "bag", "mcap")
    assert [path.name for path in tmp_path.iterdir()] == [name]
