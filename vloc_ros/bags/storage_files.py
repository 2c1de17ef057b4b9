"""Which files a bag consists of, and opening each by what it holds, whatever it is called."""

import shutil
import sys
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path, PurePath
from tempfile import mkdtemp
from typing import Any

import yaml

from vloc_ros.bags.storage import MCAP_MAGIC, SQLITE_MAGIC, McapStorage, SqliteStorage, Storage
from vloc_ros.errors import DatasetError
from vloc_ros.files import open_regular

METADATA = "metadata.yaml"
STORAGE_SUFFIXES = (".mcap", ".db3", ".zstd")
ROS1_MAGIC, ZSTD_MAGIC = b"#ROSBAG V", b"\x28\xb5\x2f\xfd"
MAX_MESSAGE_BYTES = 2**29  # uncompressed


def open_storages(path: Path, scope: ExitStack) -> tuple[Storage, ...]:
    """Open a bag's files in order; they are closed, and what was unpacked is deleted, at the end of `scope`.

    Raises DatasetError for what is no bag, and what libraries raise for damage.
    """
    return tuple(_opened(part, scope) for part in (_parts(path) if path.is_dir() else [path]))


def unpacked(raw: bytes) -> bytes:
    """A message that may be compressed by itself (no serialized message begins as zstd does). Raises ValueError."""
    if not raw.startswith(ZSTD_MAGIC):
        return raw
    decompressor = _zstd().ZstdDecompressor()
    data: bytes = decompressor.decompress(raw, MAX_MESSAGE_BYTES)
    if not decompressor.eof:
        raise ValueError(f"a compressed message that is cut short or has more than {MAX_MESSAGE_BYTES} bytes")
    return data


def _parts(directory: Path) -> list[Path]:
    """The files that metadata.yaml lists; all else that it says, they say themselves."""
    metadata = directory / METADATA
    if not metadata.exists():
        raise DatasetError(f"{directory}: no {METADATA} in it{_hint(directory)}")
    try:
        information = yaml.safe_load(metadata.read_text(encoding="utf-8"))["rosbag2_bagfile_information"]
        parts = [directory / PurePath(name).name for name in information["relative_file_paths"]]
    except (yaml.YAMLError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise DatasetError(f"{metadata}: it lists no files of a bag{_hint(directory)}") from error
    for part in parts:
        if not part.is_file():
            raise DatasetError(f"{directory}: {METADATA} lists {part.name}, which is not there{_hint(directory)}")
    return parts


def _hint(directory: Path) -> str:
    there = sorted(part.name for part in directory.iterdir() if part.suffix in STORAGE_SUFFIXES)
    return f"; name one of its files instead: {', '.join(there)}" if there else ""


def _opened(part: Path, scope: ExitStack) -> Storage:
    try:
        with open_regular(part) as file:
            begin = file.read(len(SQLITE_MAGIC))
    except FileNotFoundError as error:
        raise DatasetError(f"{part}: no such bag") from error
    if begin.startswith(ZSTD_MAGIC):
        return _opened(_decompressed(part, scope), scope)
    if begin.startswith(ROS1_MAGIC):
        convert = f"rosbags-convert --src {part.name} --dst {part.stem}"
        raise DatasetError(f"{part}: a bag of ROS 1; make one of ROS 2 of it first: {convert}")
    if begin.startswith(MCAP_MAGIC):
        storage: Storage = McapStorage(part)
    elif begin == SQLITE_MAGIC:
        storage = SqliteStorage(part)
    else:
        raise ValueError(f"{part.name} is neither an MCAP nor an SQLite3 file")
    scope.callback(storage.close)
    return storage


def _zstd() -> Any:
    """Python's module, which bags alone need."""
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def _decompressed(part: Path, scope: ExitStack) -> Path:
    folder = Path(mkdtemp(prefix="vloc_bag_"))
    scope.callback(shutil.rmtree, folder, ignore_errors=True)
    whole = folder / part.stem
    with _zstd().open(part, "rb") as packed, whole.open("wb") as file:
        shutil.copyfileobj(packed, file, 2**20)
    return whole
