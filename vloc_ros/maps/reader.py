"""Reads a map directory and believes nothing that it has not checked."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vloc_ros.core.types import LandmarkMap
from vloc_ros.errors import MapError
from vloc_ros.maps.landmarks_npz import decode_landmarks
from vloc_ros.maps.manifest_yaml import FileRecord, decode_manifest, record_of

MANIFEST_FILE = "map.yaml"
LANDMARKS_FILE = "landmarks.npz"
NETWORK_FILE = "network.onnx"
PREVIEW_FILE = "preview.png"
LISTED_FILES = (LANDMARKS_FILE, NETWORK_FILE, PREVIEW_FILE)
MAX_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class StoredMap:
    """A map directory as it was when it was checked: nothing is read from the disk again after that.

    `network`: the ONNX file. `map_id`: 12 hex digits that change with any byte of the map. `size_bytes`: of all files.
    """

    landmark_map: LandmarkMap
    network: bytes
    map_id: str
    size_bytes: int


def read_map(directory: Path | str) -> StoredMap:
    """Read and check a map directory. Raises MapError, one line with the file and what is wrong with it."""
    root = Path(directory)
    if not root.is_dir():
        raise MapError(f"{root}: {'not a directory' if root.exists() else 'there is no such map directory'}")
    manifest_bytes = _read(root, MANIFEST_FILE, MAX_MANIFEST_BYTES)
    with _naming(root / MANIFEST_FILE):
        manifest, records = decode_manifest(manifest_bytes)
        for name in LISTED_FILES:
            if name not in records:
                raise MapError(f"files.{name} is missing")
    contents = {name: _read_recorded(root, name, record) for name, record in records.items()}
    with _naming(root / LANDMARKS_FILE):
        landmark_map = decode_landmarks(contents[LANDMARKS_FILE], manifest)
    return StoredMap(
        landmark_map=landmark_map,
        network=contents[NETWORK_FILE],
        map_id=hashlib.sha256(manifest_bytes).hexdigest()[:12],
        size_bytes=len(manifest_bytes) + sum(map(len, contents.values())),
    )


def _read_recorded(root: Path, name: str, record: FileRecord) -> bytes:
    content = _read(root, name, record.bytes)
    if len(content) != record.bytes:
        raise MapError(f"{root / name}: {len(content)} bytes, map.yaml says {record.bytes}: truncated?")
    if (found := record_of(content).sha256) != record.sha256:
        raise MapError(f"{root / name}: damaged, its sha256 is {found[:12]}..., map.yaml says {record.sha256[:12]}...")
    return content


def _read(root: Path, name: str, max_bytes: int) -> bytes:
    """Content of a regular file that lies in `root` itself, links resolved."""
    path = root / name
    try:
        real = path.resolve()
        if real.parent != root.resolve():
            raise MapError(f"{path}: is a link to {real}, outside the map directory")
        if not real.exists():
            raise MapError(f"{path}: missing")
        if not real.is_file():
            raise MapError(f"{path}: not a regular file")
        if (size := real.stat().st_size) > max_bytes:
            raise MapError(f"{path}: {size} bytes, expected at most {max_bytes}")
        return real.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise MapError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file in front of the messages of the pure decoders."""
    try:
        yield
    except MapError as error:
        raise MapError(f"{path}: {error}") from error
