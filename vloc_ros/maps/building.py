"""A building: a directory with a map of each of its places, and what tells the places apart (docs/map_format.md).

building.json names the places and has the hashes of all that belongs together; places/NAME is the map of a place,
complete by itself; recognition-ID has the landmarks and mapping views of all places (overview.npz) and the index of
their points, whose arrays are memory-mapped.
"""

import hashlib
import io
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vloc_ros.core.manifest import PLACE_NAME, Manifest, Place
from vloc_ros.core.place_index import PlaceIndex
from vloc_ros.core.types import PER_LANDMARK, LandmarkMap
from vloc_ros.errors import ConfigError, ManifestError, MapError, NoMapError, reason_of
from vloc_ros.files import atomic_path, write_errors, write_text
from vloc_ros.maps.names import MANIFEST_FILE
from vloc_ros.maps.reader import StoredMap, read_map
from vloc_ros.maps.regions_npz import decode_regions, encode_regions

BUILDING_FILE = "building.json"
PLACES = "places"
FORMAT_VERSION = 1
OVERVIEW = "overview.npz"
ARRAYS = {"words": np.float32, "starts": np.int64, "descriptors": np.int8, "point_places": np.int32}
RECOGNITION = re.compile(r"recognition-[0-9a-f]{12}")
BLOCK = 1 << 20  # bytes that are hashed at once
MAX_JSON_BYTES = 1 << 22


@dataclass(frozen=True, eq=False)
class StoredBuilding:
    """A building as it was when it was checked. `overview`: landmarks and mapping views of all places, no points;
    `first`: the map of the first place; `places`: the SHA-256 of each place's map.yaml by its name."""

    directory: Path
    overview: LandmarkMap
    index: PlaceIndex
    first: StoredMap
    places: Mapping[str, str]
    map_id: str

    def read_place(self, name: str) -> StoredMap:
        """The map of a place. Raises MapError where it is another than when the building was put together."""
        directory = self.directory / PLACES / name
        stored = read_map(directory)
        if digest(stored.files[MANIFEST_FILE]) != self.places[name]:
            raise MapError(f"{directory}: was changed after the building was put together; give its `vloc map` again")
        return stored


def is_building(directory: Path | str) -> bool:
    return (Path(directory) / BUILDING_FILE).is_file()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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
        manifest=_overall(parts[0].manifest, frame_id, places),
        mapping_views=np.concatenate([part.mapping_views for part in parts]),
        places=np.repeat(numbers, [len(part) for part in parts]),
        view_places=np.repeat(numbers, [len(part.mapping_views) for part in parts]),
    )


def write_building(directory: Path, overview: LandmarkMap, index: PlaceIndex, maps: Mapping[str, StoredMap]) -> None:
    """Put a building together of maps that lie in `directory`/places: the file that says what belongs together is the
    last to be written, and what belonged together before is removed then. Raises MapError."""
    contents = {OVERVIEW: encode_regions(overview)}
    for name in ARRAYS:
        buffer = io.BytesIO()
        np.save(buffer, getattr(index, name), allow_pickle=False)
        contents[f"{name}.npy"] = buffer.getvalue()
    records = {name: {"sha256": digest(content), "bytes": len(content)} for name, content in contents.items()}
    folder = f"recognition-{digest(json.dumps(records, sort_keys=True).encode())[:12]}"
    said = {
        "format_version": FORMAT_VERSION,
        "frame_id": overview.manifest.frame_id,
        "places": {
            place.name: {**vars(place), "map": digest(maps[place.name].files[MANIFEST_FILE])}
            for place in overview.manifest.places
        },
        "recognition": folder,
        "files": records,
    }
    with write_errors(directory, MapError):
        if not (directory / folder).is_dir():
            with atomic_path(directory / folder) as new:
                new.mkdir()
                for name, content in contents.items():
                    (new / name).write_bytes(content)
        write_text(directory / BUILDING_FILE, json.dumps(said, indent=1) + "\n")
    for entry in directory.iterdir():
        if RECOGNITION.fullmatch(entry.name) and entry.name != folder:
            shutil.rmtree(entry, ignore_errors=True)


def read_building(directory: Path | str) -> StoredBuilding:
    """Read and check a building, and of its places the first; the others are read when they are needed. Raises
    MapError, one line with the file and what is wrong with it."""
    root = Path(directory)
    content, said = _said(root)
    folder = root / said["recognition"]
    for name, record in said["files"].items():
        _require_recorded(folder / name, record)
    first = read_map(root / PLACES / next(iter(said["places"])))
    try:
        places = [_decoded(node) for node in said["places"].values()]
        manifest = _overall(first.landmark_map.manifest, said["frame_id"], places)
        overview = decode_regions((folder / OVERVIEW).read_bytes(), manifest)
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
        for name, dtype in ARRAYS.items():
            if arrays[name].dtype != dtype:
                raise MapError(f"array {name!r} is {arrays[name].dtype}, expected {np.dtype(dtype)}")
        small = {name: np.array(arrays[name]) for name in ("words", "starts")}
        index = PlaceIndex(**{**arrays, **small}, count=len(places))
    except (OSError, ValueError, TypeError, KeyError, EOFError, ConfigError, MapError) as error:
        raise MapError(f"{folder}: {reason_of(error)}") from error
    maps = {name: node["map"] for name, node in said["places"].items()}
    return StoredBuilding(root, overview, index, first, maps, digest(content)[:12])


def _said(root: Path) -> tuple[bytes, dict[str, Any]]:
    """The content of building.json. Raises MapError."""
    path = root / BUILDING_FILE
    try:
        content = path.read_bytes()[: MAX_JSON_BYTES + 1]
    except OSError as error:
        raise NoMapError(f"{path}: {reason_of(error)}") from error
    try:
        said = json.loads(content)
        if said["format_version"] != FORMAT_VERSION:
            raise ManifestError(f"{path}: is of format {said['format_version']}, this version knows {FORMAT_VERSION}")
        names = [f"{name}.npy" for name in ARRAYS]
        is_complete = (
            all(PLACE_NAME.fullmatch(name) and isinstance(node["map"], str) for name, node in said["places"].items())
            and len(said["places"]) > 0
            and RECOGNITION.fullmatch(said["recognition"])
            and set(said["files"]) == {OVERVIEW, *names}
            and isinstance(said["frame_id"], str)
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ManifestError(f"{path}: not a building ({type(error).__name__}: {reason_of(error)})") from error
    if not is_complete:
        raise ManifestError(f"{path}: names what no building has")
    return content, said


def _require_recorded(path: Path, record: Any) -> None:
    """Raise MapError for a file that is another than building.json says."""
    found = hashlib.sha256()
    try:
        size, expected = int(record["bytes"]), str(record["sha256"])
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                found.update(block)
            read = file.tell()
    except OSError as error:
        raise MapError(f"{path}: {reason_of(error)}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"{path}: {BUILDING_FILE} does not say its size and hash") from error
    if (read, found.hexdigest()) != (size, expected):
        raise MapError(f"{path}: damaged, it is not what {BUILDING_FILE} says")


def _overall(first: Manifest, frame_id: str, places: Sequence[Place]) -> Manifest:
    """That of all places, whose images are made as those of the first: what is calibrated is each place's own."""
    return replace(first, frame_id=frame_id, places=tuple(places), lenses={}, accuracy={})


def _place(name: str, manifest: Manifest, frame_id: str) -> Place:
    """A place as its own map has it, under its name in the building: with where it lies if that is in this frame."""
    (own,) = manifest.places
    return Place(name, own.frame_id, own.map_from_place if manifest.frame_id == frame_id else None)


def _decoded(node: Mapping[str, Any]) -> Place:
    pose = node["map_from_place"]
    return Place(str(node["name"]), str(node["frame_id"]), None if pose is None else tuple(map(float, pose)))


def _require_place(name: str, landmark_map: LandmarkMap, first: Manifest, frame_id: str) -> None:
    """Raise MapError for a map that the places of a building cannot be recognised with."""
    manifest, points = landmark_map.manifest, landmark_map.points
    if points is None or manifest.features is None:
        raise MapError(f"place {name}: its map has no points, by which places are told apart; they are of maps of pram")
    if len(manifest.places) != 1:
        raise MapError(f"place {name}: its map is of {len(manifest.places)} places")
    features = first.features
    assert features is not None
    if (manifest.features.name, manifest.features.dimensions) != (features.name, features.dimensions):
        raise MapError(f"place {name}: its features are {manifest.features.name}, those of the first {features.name}")
