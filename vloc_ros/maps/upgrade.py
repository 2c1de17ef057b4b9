"""Rewrites a map of an older format in the present one."""

import os
from pathlib import Path

from vloc_ros.errors import MapError
from vloc_ros.maps.manifest_yaml import FORMAT_VERSION
from vloc_ros.maps.names import LANDMARKS_FILE, MANIFEST_FILE, REGIONS_FILE
from vloc_ros.maps.reader import StoredMap, read_map
from vloc_ros.maps.regions_npz import regions_of_landmarks
from vloc_ros.maps.writer import sealed, write_files


def upgrade_map(directory: Path, out: Path | None = None) -> tuple[StoredMap, StoredMap | None]:
    """Write the map again in the present format, in its place or to `out`, with the very same numbers, so that it gives
    the same poses. Returns what it was and what it is; None where it is of that format already, and nothing is written:
    to `out`, it is then copied.

    The old map stays as it is until the new one is there. Raises MapError for what is no map, cannot be written, or
    would replace another map or lie in this one.
    """
    before = read_map(directory)
    source = Path(os.path.realpath(directory))  # a link to a map stays, what it points to is replaced
    target = source if out is None else Path(os.path.realpath(out))
    if target != source:
        _require_free(target, source)
    if before.format_version == FORMAT_VERSION:
        if target == source:
            return before, None
        write_files(target, before.copied_files)
        return before, read_map(target)
    others = {name: content for name, content in before.files.items() if name not in (MANIFEST_FILE, LANDMARKS_FILE)}
    contents = {REGIONS_FILE: regions_of_landmarks(before.files[LANDMARKS_FILE]), **others}
    try:
        contents = sealed(before.landmark_map.manifest, contents)
    except MapError as error:
        raise MapError(f"{target}: cannot write the map: {error}") from error
    write_files(target, contents)
    return before, read_map(target)


def _require_free(target: Path, source: Path) -> None:
    if (target / MANIFEST_FILE).exists():
        raise MapError(f"{target}: there is a map already, which is not replaced")
    if target.is_relative_to(source):
        raise MapError(f"{target}: is inside the map {source}, which holds its own files and nothing else")
