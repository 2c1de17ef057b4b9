"""A building: a directory with a map of each of its places, and what tells the places apart (docs/map_format.md).

building.json names the places and has the hashes of all that belongs together; places/NAME is the map of a place,
complete by itself; recognition-ID has the landmarks and mapping views of all places (overview.npz) and the index of
their points, whose arrays are memory-mapped.
"""

import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from vloc_ros.core.manifest import FIELD_OF_VIEW, LENSES, NO_SCALE, Manifest, Place
from vloc_ros.core.place_index import PlaceIndex
from vloc_ros.core.types import PER_LANDMARK, LandmarkMap
from vloc_ros.errors import ConfigError, MapError, reason_of
from vloc_ros.files import atomic_path, is_left_over, write_errors
from vloc_ros.maps.building_json import (
    ARRAYS,
    COLORS,
    FOLDER,
    OVERVIEW,
    decoded_place,
    digest,
    folder_of,
    place_node,
    read_said,
    require_recorded,
    write_said,
)
from vloc_ros.maps.names import BUILDING_FILE, MANIFEST_FILE, PLACES
from vloc_ros.maps.reader import StoredMap, is_building, read_map
from vloc_ros.maps.regions_npz import decode_regions, encode_regions


@dataclass(frozen=True, eq=False)
class StoredBuilding:
    """A building as it was when it was checked. `landmark_map`: landmarks and mapping views of all places, no points;
    `places`: the SHA-256 of each place's map.yaml by its name; `content` and `signature`: of building.json, as those of
    a StoredMap's map.yaml."""

    directory: Path
    landmark_map: LandmarkMap
    index: PlaceIndex
    places: Mapping[str, str]
    content: bytes
    signature: bytes | None

    @property
    def map_id(self) -> str:
        """12 hex digits that change with any byte of building.json, and so with any of a place's map."""
        return digest(self.content)[:12]

    @property
    def signed(self) -> tuple[str, bytes]:
        """Name and content of the file that a signature is of, which holds the hashes of all others."""
        return BUILDING_FILE, self.content

    def read_place(self, name: str) -> StoredMap:
        """The map of a place. Raises MapError where it is another than when the building was put together."""
        try:
            return _read_place(self.directory, name, self.places[name])
        except MapError as error:
            if self._is_outdated():
                raise MapError(
                    f"{self.directory}: was changed since it was read: a node reads it again when it is configured anew"
                ) from error
            raise

    def _is_outdated(self) -> bool:
        """Whether it was put together anew since it was read, so that maps of places need not be what it says."""
        try:
            return read_said(self.directory)[0] != self.content
        except MapError:
            return False


Stored: TypeAlias = StoredMap | StoredBuilding


def read_stored(directory: Path | str) -> Stored:
    """A map or a building, whichever a directory holds. Raises MapError, as `read_map` and `read_building`."""
    return read_building(directory) if is_building(directory) else read_map(directory)


def joined_overview(frame_id: str, maps: Mapping[str, StoredMap]) -> LandmarkMap:
    """Landmarks and mapping views of the maps of all places, by their names. Raises MapError for one that cannot be a
    place of a building."""
    parts = [stored.landmark_map for stored in maps.values()]
    for name, stored in maps.items():
        _require_place(name, stored.landmark_map, parts[0].manifest, frame_id)
    places = tuple(_place(name, part.manifest, frame_id) for name, part in zip(maps, parts, strict=True))
    if len({place.frame_id for place in places}) < len(places):
        raise MapError("places of a building: two of them have the same frame")
    numbers = np.arange(len(parts), dtype=np.int32)
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in PER_LANDMARK if name != "ids"
    }
    return LandmarkMap(
        ids=np.arange(len(arrays["positions"]), dtype=np.int32),
        **arrays,
        manifest=_overall(parts[0].manifest, frame_id, places, _cameras([part.manifest for part in parts])),
        mapping_views=np.concatenate([part.mapping_views for part in parts]),
        places=np.repeat(numbers, [len(part) for part in parts]),
        view_places=np.repeat(numbers, [len(part.mapping_views) for part in parts]),
    )


def write_building(directory: Path, overview: LandmarkMap, index: PlaceIndex, maps: Mapping[str, StoredMap]) -> None:
    """Put a building together of maps that lie in `directory`/places: the file that says what belongs together is the
    last to be written, and what belonged together before is removed then. Raises MapError."""
    contents = {OVERVIEW: encode_regions(overview)}
    for name in (*ARRAYS, COLORS) if len(index.colors) else ARRAYS:
        buffer = io.BytesIO()
        np.save(buffer, getattr(index, name), allow_pickle=False)
        contents[f"{name}.npy"] = buffer.getvalue()
    records = {name: {"sha256": digest(content), "bytes": len(content)} for name, content in contents.items()}
    folder = folder_of(overview.manifest.place_names, records)
    with write_errors(directory, MapError):
        if not _is_whole(directory / folder, records):
            if not (directory / folder).is_dir():
                (directory / folder).unlink(missing_ok=True)
            with atomic_path(directory / folder) as new:
                new.mkdir()
                for name, content in contents.items():
                    (new / name).write_bytes(content)
    said = {
        "frame_id": overview.manifest.frame_id,
        "cameras": overview.manifest.training,
        "order": list(overview.manifest.place_names),
        "places": {place.name: place_node(place, maps[place.name]) for place in overview.manifest.places},
        "recognition": folder,
        "files": records,
    }
    write_said(directory, said)
    for entry in directory.iterdir():
        if FOLDER.fullmatch(entry.name) and entry.name != folder:
            shutil.rmtree(entry, ignore_errors=True)


def _is_whole(folder: Path, records: Mapping[str, Any]) -> bool:
    """Whether it has these files as they were written: what was damaged since is written anew."""
    try:
        for name, record in records.items():
            require_recorded(folder / name, record)
    except MapError:
        return False
    return True


def holds_others(directory: Path) -> bool:
    """Whether a directory that has no building.json has what no building has. One without may have lost it, or whoever
    wrote it was killed or had no room left. Raises MapError for what cannot be listed."""
    try:
        names = [entry.name for entry in directory.iterdir()]
    except FileNotFoundError:
        return False
    except OSError as error:
        raise MapError(f"{directory}: {reason_of(error)}") from error
    return not all(name == PLACES or FOLDER.fullmatch(name) or is_left_over(name) for name in names)


def enter_place(directory: Path, name: str) -> None:
    """Say of a place what its map says now of its frame and of where it lies, of which alone may have changed. Raises
    MapError."""
    said, stored = read_said(directory)[2], read_map(directory / PLACES / name)
    said["places"][name] = place_node(_place(name, stored.landmark_map.manifest, said["frame_id"]), stored)
    write_said(directory, said)


def read_building(directory: Path | str) -> StoredBuilding:
    """Read and check a building, and of its places the first; the others are read when they are needed. Raises
    MapError, one line with the file and what is wrong with it."""
    root = Path(directory)
    content, signature, said = read_said(root)
    folder = root / said["recognition"]
    for name, record in said["files"].items():
        require_recorded(folder / name, record)
    maps = {name: node["map"] for name, node in said["places"].items()}
    first = _read_place(root, *next(iter(maps.items())))
    try:
        places = [decoded_place(node) for node in said["places"].values()]
        manifest = _overall(first.landmark_map.manifest, said["frame_id"], places, said.get("cameras", {}))
        overview = decode_regions((folder / OVERVIEW).read_bytes(), manifest)
        kinds = {**ARRAYS, COLORS: np.float32} if f"{COLORS}.npy" in said["files"] else ARRAYS
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in kinds}
        for name, dtype in kinds.items():
            if arrays[name].dtype != dtype:
                raise MapError(f"array {name!r} is {arrays[name].dtype}, expected {np.dtype(dtype)}")
        small = {name: np.array(arrays[name]) for name in kinds if name in ("words", "starts", COLORS)}
        index = PlaceIndex(**{**arrays, **small}, count=len(places))
    except (OSError, ValueError, TypeError, KeyError, EOFError, ConfigError, MapError) as error:
        raise MapError(f"{folder}: {reason_of(error)}") from error
    return StoredBuilding(root, overview, index, maps, content, signature)


def read_places(directory: Path | str) -> Iterator[tuple[str, StoredMap | MapError]]:
    """The map of each place, or what is wrong with it. Raises MapError for what is no building."""
    root = Path(directory)
    for name, node in read_said(root)[2]["places"].items():
        try:
            yield name, _read_place(root, name, node["map"])
        except MapError as error:
            yield name, error


def _read_place(root: Path, name: str, sha256: str) -> StoredMap:
    directory = root / PLACES / name
    stored = read_map(directory)
    if digest(stored.files[MANIFEST_FILE]) != sha256:
        raise MapError(
            f"{directory}: was changed after the building was put together, or its `vloc align` was killed; `vloc map` "
            "of the building again enters it as it is"
        )
    return stored


def _overall(first: Manifest, frame_id: str, places: Sequence[Place], cameras: Mapping[str, Any]) -> Manifest:
    """That of all places, whose images are made as those of the first: what is calibrated is each place's own."""
    return replace(first, frame_id=frame_id, places=tuple(places), lenses={}, accuracy={}, training=cameras)


def _cameras(manifests: Sequence[Manifest]) -> dict[str, list[Any]]:
    """What `Manifest.training` says of the cameras of all places, as far as each place's does: who localizes with a
    camera that is unlike all of them is warned."""
    found: dict[str, list[Any]] = {}
    fields = [field for manifest in manifests if (field := manifest.field_of_view_deg) is not None]
    if len(fields) == len(manifests):
        found[FIELD_OF_VIEW] = [min(low for low, _ in fields), max(high for _, high in fields)]
    if all(manifest.lens_models for manifest in manifests):
        found[LENSES] = sorted({model for manifest in manifests for model in manifest.lens_models})
    return found


def _place(name: str, manifest: Manifest, frame_id: str) -> Place:
    """A place as its own map has it, under its name in the building: with where it lies if that is in this frame."""
    (own,) = manifest.places
    return Place(name, own.frame_id, own.map_from_place if manifest.frame_id == frame_id else None)


def _require_place(name: str, landmark_map: LandmarkMap, first: Manifest, frame_id: str) -> None:
    """Raise MapError for a map that the places of a building cannot be recognised with."""
    manifest, points = landmark_map.manifest, landmark_map.points
    if points is None or manifest.features is None:
        raise MapError(f"place {name}: its map has no points, by which places are told apart; they are of maps of pram")
    if manifest.unknown_scale:
        raise MapError(f"place {name}: {NO_SCALE}")
    if len(manifest.places) != 1:
        raise MapError(f"place {name}: its map is of {len(manifest.places)} places")
    features = first.features
    assert features is not None
    if (manifest.features.name, manifest.features.dimensions) != (features.name, features.dimensions):
        raise MapError(f"place {name}: its features are {manifest.features.name}, those of the first {features.name}")
