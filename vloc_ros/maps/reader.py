"""Reads a map, from a directory or from one block of bytes, and believes nothing that it has not checked."""

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

from vloc_ros.core.model_spec import PRECISIONS, Precision, Role
from vloc_ros.core.types import LandmarkMap
from vloc_ros.errors import ManifestError, MapError, NoFileError
from vloc_ros.maps.archives import open_archive, read_member
from vloc_ros.maps.correction_npz import decode_correction
from vloc_ros.maps.files import opened_directory, read_file
from vloc_ros.maps.manifest_yaml import FORMAT_VERSION, FileRecord, MapYaml, decode_manifest, record_of
from vloc_ros.maps.names import (
    BUILDING_FILE,
    CORRECTION_FILE,
    LANDMARKS_FILE,
    MANIFEST_FILE,
    MAPPING_FILE,
    PLACES,
    POINTS_FILE,
    PREVIEW_FILE,
    REGIONS_FILE,
    SIGNATURE_FILE,
    SURFACE_FILE,
    network_file,
)
from vloc_ros.maps.points_npz import decode_points
from vloc_ros.maps.regions_npz import decode_regions
from vloc_ros.maps.surface_npz import decode_surface

MAX_MANIFEST_BYTES = 1 << 17
MAX_MAP_BYTES = 1 << 30  # of all files together
MAX_FILES = 32
SIGNATURE_BYTES = 64  # of Ed25519

# Content of the file of a name, at most so many bytes; MapError otherwise.
ReadFile = Callable[[str, int], bytes]


@dataclass(frozen=True, eq=False)
class StoredMap:
    """A map as it was when it was checked: nothing is read from the disk again after that.

    `files`: content by name, all that map.yaml lists and itself. `map_id`: 12 hex digits that change with any byte.
    `format_version`: the one that map.yaml is written in. `signature`: of map.yaml, by whoever made the map; nobody has
    checked it yet (`maps/signature.py`). None where there is none. `sha256`: of each file that map.yaml lists.
    """

    landmark_map: LandmarkMap
    files: Mapping[str, bytes]
    map_id: str
    format_version: int = FORMAT_VERSION
    signature: bytes | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def signed(self) -> tuple[str, bytes]:
        """Name and content of the file that a signature is of."""
        return MANIFEST_FILE, self.files[MANIFEST_FILE]

    @property
    def copied_files(self) -> Mapping[str, bytes]:
        """What belongs into a copy: `files`, and the signature of a map that has one."""
        return self.files if self.signature is None else {**self.files, SIGNATURE_FILE: self.signature}

    @property
    def networks(self) -> Mapping[Role, Mapping[Precision, bytes]]:
        """The ONNX files, by role and the precision of their arithmetic; float32 is always there."""
        return {role: self._by_precision(role) for role in self.landmark_map.manifest.models}

    def _by_precision(self, role: Role) -> Mapping[Precision, bytes]:
        names = {precision: network_file(role, precision) for precision in PRECISIONS}
        return {precision: self.files[name] for precision, name in names.items() if name in self.files}

    @property
    def size_bytes(self) -> int:
        """Size of all files together."""
        return sum(map(len, self.files.values()))


def read_map(directory: Path | str) -> StoredMap:
    """Read and check a map directory. Raises MapError, one line with the file and what is wrong with it: NoMapError
    where there is no directory, ManifestError where it is map.yaml.

    Its files may be links to somewhere else: what the checksums cover is the same wherever it lies.
    """
    root = str(directory)
    if is_building(directory):
        raise MapError(f"{root}: is a building, not a map; the maps of its places are in {root}/{PLACES}")
    with opened_directory(root) as descriptor:
        return _checked(root, partial(read_file, root, descriptor), MAX_MAP_BYTES)


def is_building(directory: Path | str) -> bool:
    """Whether a directory has the maps of a building. False for a path that no directory can have, too."""
    return os.path.isfile(os.path.join(directory, BUILDING_FILE))  # Path.is_file raises for some of these


def pack_map(stored: StoredMap) -> bytes:
    """The whole map as one block of bytes, an uncompressed zip of its directory, for `unpack_map` elsewhere."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in stored.copied_files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def unpack_map(packed: bytes, where: str, max_bytes: int = MAX_MAP_BYTES) -> StoredMap:
    """The map that `pack_map` packed, checked like one from a disk; `where` it came from stands in front of messages.

    Raises MapError for whatever is not a map, and for one of more than `max_bytes`: no more than these are unpacked,
    whatever sizes the archive or the map itself tells.
    """
    archive = open_archive(packed, f"{where}: {len(packed)} bytes that are no packed map", MAX_FILES)
    return _checked(where, partial(read_member, archive, where), max_bytes)


def _checked(root: str, read: ReadFile, max_bytes: int) -> StoredMap:
    manifest_bytes, said = _manifest(root, read, max_bytes)
    contents = {
        name: _recorded(f"{root}/{name}", read(name, record.bytes), record) for name, record in said.files.items()
    }
    return StoredMap(
        landmark_map=_landmark_map(root, said, contents),
        files=MappingProxyType({MANIFEST_FILE: manifest_bytes, **contents}),
        map_id=hashlib.sha256(manifest_bytes).hexdigest()[:12],
        format_version=said.format_version,
        signature=read_signature(read, SIGNATURE_FILE),
        sha256=MappingProxyType({name: record.sha256 for name, record in said.files.items()}),
    )


def read_signature(read: ReadFile, name: str) -> bytes | None:
    """The content of that file; None where there is none. Raises MapError for one that cannot be read."""
    try:
        return read(name, SIGNATURE_BYTES)
    except NoFileError:
        return None


def _manifest(root: str, read: ReadFile, max_bytes: int) -> tuple[bytes, MapYaml]:
    """Raises ManifestError."""
    try:
        content = read(MANIFEST_FILE, MAX_MANIFEST_BYTES)
        with _naming(f"{root}/{MANIFEST_FILE}"):
            said = decode_manifest(content)
            _check_records(said, max_bytes - len(content))
    except MapError as error:
        raise ManifestError(str(error)) from error
    return content, said


def _landmark_map(root: str, said: MapYaml, contents: Mapping[str, bytes]) -> LandmarkMap:
    points, correction, surface = None, None, None
    if not (before_4 := said.format_version < 4):
        if POINTS_FILE in contents:
            with _naming(f"{root}/{POINTS_FILE}"):
                points = decode_points(contents[POINTS_FILE])
        if CORRECTION_FILE in contents:
            with _naming(f"{root}/{CORRECTION_FILE}"):
                correction = decode_correction(contents[CORRECTION_FILE])
        if SURFACE_FILE in contents:
            with _naming(f"{root}/{SURFACE_FILE}"):
                surface = decode_surface(contents[SURFACE_FILE])
    name = regions_file(said.format_version)
    with _naming(f"{root}/{name}"):
        return decode_regions(contents[name], said.manifest, points, correction, surface, before_4)


def regions_file(format_version: int) -> str:
    """What the file of the regions is called in a format."""
    return LANDMARKS_FILE if format_version < 4 else REGIONS_FILE


def _check_records(said: MapYaml, max_bytes: int) -> None:
    records = said.files
    for name in (regions_file(said.format_version), PREVIEW_FILE, MAPPING_FILE):
        if name not in records:
            raise MapError(f"files.{name} is missing")
    if len(records) >= MAX_FILES:
        raise MapError(f"files: {len(records)} of them, at most {MAX_FILES - 1} can be")
    if (total := sum(record.bytes for record in records.values())) > max_bytes:
        raise MapError(f"files: {total / 1e6:.1f} MB together, at most {max_bytes / 1e6:.1f} MB can be")


def _recorded(path: str, content: bytes, record: FileRecord) -> bytes:
    """`content`, if it is what map.yaml recorded."""
    if len(content) != record.bytes:
        raise MapError(f"{path}: {len(content)} bytes, map.yaml says {record.bytes}: truncated?")
    if (found := record_of(content).sha256) != record.sha256:
        raise MapError(f"{path}: damaged, its sha256 is {found[:12]}..., map.yaml says {record.sha256[:12]}...")
    return content


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Put the file in front of the messages of the pure decoders."""
    try:
        yield
    except MapError as error:
        raise MapError(f"{path}: {error}") from error
