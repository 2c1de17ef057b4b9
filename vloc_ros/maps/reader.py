"""Reads a map, from a directory or from one block of bytes, and believes nothing that it has not checked."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from vloc_ros.core.manifest import Precision
from vloc_ros.core.types import LandmarkMap
from vloc_ros.errors import MapError
from vloc_ros.maps.landmarks_npz import decode_landmarks
from vloc_ros.maps.manifest_yaml import FileRecord, decode_manifest, record_of

MANIFEST_FILE = "map.yaml"
LANDMARKS_FILE = "landmarks.npz"
NETWORK_FILES: Mapping[Precision, str] = MappingProxyType(
    {"float32": "network.onnx", "float16": "network_float16.onnx", "bfloat16": "network_bfloat16.onnx"}
)
PREVIEW_FILE = "preview.png"
MAPPING_FILE = "mapping.json"
LISTED_FILES = (LANDMARKS_FILE, NETWORK_FILES["float32"], PREVIEW_FILE, MAPPING_FILE)  # that every map has
MAX_MANIFEST_BYTES = 1 << 20


# Content of the file of a name, at most so many bytes; MapError otherwise.
ReadFile = Callable[[str, int], bytes]


@dataclass(frozen=True, eq=False)
class StoredMap:
    """A map as it was when it was checked: nothing is read from the disk again after that.

    `files`: content by name, all that map.yaml lists and itself. `map_id`: 12 hex digits that change with any byte.
    """

    landmark_map: LandmarkMap
    files: Mapping[str, bytes]
    map_id: str

    @property
    def networks(self) -> Mapping[Precision, bytes]:
        """The ONNX files, by the precision of their arithmetic; float32 is always there."""
        return {precision: self.files[name] for precision, name in NETWORK_FILES.items() if name in self.files}

    @property
    def size_bytes(self) -> int:
        """Size of all files together."""
        return sum(map(len, self.files.values()))


def read_map(directory: Path | str) -> StoredMap:
    """Read and check a map directory. Raises MapError, one line with the file and what is wrong with it."""
    root = Path(directory)
    if not root.is_dir():
        raise MapError(f"{root}: {'not a directory' if root.exists() else 'there is no such map directory'}")

    def read(name: str, max_bytes: int) -> bytes:
        return _read(root, name, max_bytes)

    return _checked(str(root), read)


def pack_map(stored: StoredMap) -> bytes:
    """The whole map as one block of bytes, an uncompressed zip of its directory, for `unpack_map` elsewhere."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in stored.files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def unpack_map(packed: bytes, where: str) -> StoredMap:
    """The map that `pack_map` packed, checked like one from a disk; `where` it came from stands in front of messages.

    Raises MapError for whatever is not a map. Sizes are checked before anything is unpacked.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(packed))
    except (zipfile.BadZipFile, ValueError) as error:
        raise MapError(f"{where}: {len(packed)} bytes that are no packed map") from error

    def read(name: str, max_bytes: int) -> bytes:
        try:
            member = archive.getinfo(name)
            if member.file_size > max_bytes:
                raise MapError(f"{where}/{name}: {member.file_size} bytes, expected at most {max_bytes}")
            return archive.read(member)
        except KeyError as error:
            raise MapError(f"{where}/{name}: missing") from error
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
            raise MapError(f"{where}/{name}: damaged, it cannot be unpacked") from error

    return _checked(where, read)


def _checked(root: str, read: ReadFile) -> StoredMap:
    manifest_bytes = read(MANIFEST_FILE, MAX_MANIFEST_BYTES)
    with _naming(f"{root}/{MANIFEST_FILE}"):
        manifest, records = decode_manifest(manifest_bytes)
        for name in LISTED_FILES:
            if name not in records:
                raise MapError(f"files.{name} is missing")
    contents = {name: _recorded(f"{root}/{name}", read(name, record.bytes), record) for name, record in records.items()}
    with _naming(f"{root}/{LANDMARKS_FILE}"):
        landmark_map = decode_landmarks(contents[LANDMARKS_FILE], manifest)
    return StoredMap(
        landmark_map=landmark_map,
        files=MappingProxyType({MANIFEST_FILE: manifest_bytes, **contents}),
        map_id=hashlib.sha256(manifest_bytes).hexdigest()[:12],
    )


def _recorded(path: str, content: bytes, record: FileRecord) -> bytes:
    """`content`, if it is what map.yaml recorded."""
    if len(content) != record.bytes:
        raise MapError(f"{path}: {len(content)} bytes, map.yaml says {record.bytes}: truncated?")
    if (found := record_of(content).sha256) != record.sha256:
        raise MapError(f"{path}: damaged, its sha256 is {found[:12]}..., map.yaml says {record.sha256[:12]}...")
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
def _naming(path: str) -> Iterator[None]:
    """Put the file in front of the messages of the pure decoders."""
    try:
        yield
    except MapError as error:
        raise MapError(f"{path}: {error}") from error
