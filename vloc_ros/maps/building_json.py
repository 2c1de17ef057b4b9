"""building.json, which says what belongs together to a building (docs/map_format.md): read, checked and written."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vloc_ros.core.manifest import PLACE_NAME, Place
from vloc_ros.errors import ManifestError, MapError, NoFileError, NoMapError, reason_of
from vloc_ros.files import write_errors, write_text
from vloc_ros.maps.files import opened_directory, read_file
from vloc_ros.maps.names import BUILDING_FILE, MANIFEST_FILE
from vloc_ros.maps.reader import StoredMap, is_building, read_signature

FORMAT_VERSION = 1
FOLDER = re.compile(r"recognition-[0-9a-f]{12}")  # of what tells the places apart:
OVERVIEW = "overview.npz"
# Of the index, each a file NAME.npy:
ARRAYS = {"words": np.float32, "starts": np.int64, "descriptors": np.int8, "point_places": np.int32}
COLORS = "colors"  # is there if the maps of all places know colours
BLOCK = 1 << 20  # bytes that are hashed at once
MAX_JSON_BYTES = 1 << 22


def read_said(root: Path) -> tuple[bytes, bytes | None, dict[str, Any]]:
    """building.json as it is, its signature, and what it says, the places in the order of their numbers. Raises
    MapError."""
    path = root / BUILDING_FILE
    with opened_directory(str(root)) as descriptor:
        read = partial(read_file, str(root), descriptor)
        try:
            content = read(BUILDING_FILE, MAX_JSON_BYTES)
        except NoFileError as error:
            raise NoMapError(str(error)) from error
        signature = read_signature(read, f"{BUILDING_FILE}.sig")
    try:
        said = json.loads(content)
        if said["format_version"] != FORMAT_VERSION:
            raise ManifestError(f"{path}: is of format {said['format_version']}, this version knows {FORMAT_VERSION}")
        names = [f"{name}.npy" for name in ARRAYS]
        is_complete = (
            all(_is_place(name, node) for name, node in said["places"].items())
            and len(said["places"]) > 0
            and FOLDER.fullmatch(said["recognition"])
            and set(said["files"]) - {f"{COLORS}.npy"} == {OVERVIEW, *names}
            and isinstance(said["frame_id"], str)
            and isinstance(said.get("cameras", {}), dict)
        )
        order = _order(said)
        is_named = order is None or said["recognition"] in (folder_of(order, said["files"]), _folder(said["files"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ManifestError(f"{path}: not a building ({type(error).__name__}: {reason_of(error)})") from error
    if not is_complete:
        raise ManifestError(f"{path}: names what no building has")
    if order is None:
        raise ManifestError(f"{path}: does not say in which order its places are; `vloc map` again writes it anew")
    if not is_named:
        raise ManifestError(
            f"{path}: {said['recognition']} is of places in another order, or of other files; `vloc map` again writes "
            "both anew"
        )
    return content, signature, {**said, "order": order, "places": {name: said["places"][name] for name in order}}


def folder_of(order: Sequence[str], records: Mapping[str, Any]) -> str:
    """What the folder is called that has these files, in which places have the numbers of this order: a file that was
    edited to another order, or of other files, names another folder."""
    return _folder([list(order), records])


def _folder(content: Any) -> str:
    """Of an older version, `content` are the files alone: of which order it is, is not known."""
    return f"recognition-{digest(json.dumps(content, sort_keys=True).encode())[:12]}"


def _order(said: Mapping[str, Any]) -> Sequence[str] | None:
    """The names of the places, in the order of their numbers in the index. None where that is not known: in a file of
    an older version, the places themselves are in that order, unless something has sorted all keys."""
    places = list(said["places"])
    if "order" not in said:
        return places if next(iter(said)) == "format_version" else None
    order = said["order"]
    return order if isinstance(order, list) and sorted(order, key=str) == sorted(places) else None


def _is_place(name: str, node: Mapping[str, Any]) -> bool:
    """Whether a place is called as its key, by which poses name it, and has a map."""
    return bool(PLACE_NAME.fullmatch(name)) and node["name"] == name and isinstance(node["map"], str)


def write_said(directory: Path, said: Mapping[str, Any]) -> None:
    """Write it; a signature of what was there before is removed. Raises MapError."""
    text = json.dumps({"format_version": FORMAT_VERSION, **said}, indent=1) + "\n"
    with write_errors(directory, MapError):
        if not is_building(directory) or (directory / BUILDING_FILE).read_bytes() != text.encode():
            (directory / f"{BUILDING_FILE}.sig").unlink(missing_ok=True)  # it is of another building
        write_text(directory / BUILDING_FILE, text, MapError)


def place_node(place: Place, stored: StoredMap) -> dict[str, Any]:
    """What building.json says of a place."""
    return {**vars(place), "map": digest(stored.files[MANIFEST_FILE])}


def decoded_place(node: Mapping[str, Any]) -> Place:
    """The inverse. Raises ConfigError, and what Python raises for a node that is none."""
    pose = node["map_from_place"]
    return Place(str(node["name"]), str(node["frame_id"]), None if pose is None else tuple(map(float, pose)))


def require_recorded(path: Path, record: Any) -> None:
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
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ManifestError(f"{path}: {BUILDING_FILE} does not say its size and hash") from error
    if (read, found.hexdigest()) != (size, expected):
        raise MapError(f"{path}: damaged, it is not what {BUILDING_FILE} says")


def digest(content: bytes) -> str:
    """As building.json has it."""
    return hashlib.sha256(content).hexdigest()
