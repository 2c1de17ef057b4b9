"""map.yaml: the manifest and the file records as text, strictly checked in both directions."""

import dataclasses
import hashlib
import math
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

import numpy as np

from vloc_ros.core.manifest import FORMAT_VERSION, Calibration, GateThresholds, Manifest
from vloc_ros.core.model_spec import NETWORK, GridSpec
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.maps import strict_yaml

T = TypeVar("T")

FORMAT_1_OUTPUTS = MappingProxyType(
    {
        "labels": "int32",
        "confidences": "float32",
        "votes": "float32[2]",
        "distances": "float32",
        "scales": "float32",
        "coordinates": "float32[3]",
        "regions": "int32",
    }
)
SEAL = re.compile(rb"(.*\n)sha256: ([0-9a-f]{64})\n", re.DOTALL)
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class _Document:
    """What format 3 says, in its order: a manifest with one network, which fills a grid of cells."""

    method: str
    frame_id: str
    created: str
    network: GridSpec
    calibration: Calibration
    gate: GateThresholds
    training: Mapping[str, Any]
    accuracy: Mapping[str, Any]
    scenes: tuple[str, ...]
    format_version: int


OTHERWISE = ("network", "scenes")  # what a Manifest has in another way


@dataclass(frozen=True)
class FileRecord:
    """Expected content of one file of the map directory: SHA-256 in lower-case hex, and size."""

    sha256: str
    bytes: int


def record_of(content: bytes) -> FileRecord:
    """The record of a file with this content."""
    return FileRecord(hashlib.sha256(content).hexdigest(), len(content))


def encode_manifest(manifest: Manifest, files: Mapping[str, FileRecord]) -> bytes:
    """map.yaml: the manifest, `files`, and a last line with the SHA-256 of everything before it.

    Raises MapError for a summary value that plain YAML cannot hold, NaN and infinity included.
    """
    if set(manifest.models) != {NETWORK}:
        raise MapError(f"map.yaml: models {list(manifest.models)}: format {FORMAT_VERSION} has {NETWORK!r} alone")
    same = {f.name: getattr(manifest, f.name) for f in dataclasses.fields(_Document) if f.name not in OTHERWISE}
    said = _Document(**same, network=manifest.models[NETWORK].grid, scenes=manifest.places)
    fields = _plain(said, "map.yaml")
    document = {"format_version": fields.pop("format_version"), **fields, "files": _plain(files, "map.yaml: files")}
    body = strict_yaml.dump(document)
    return body + f"sha256: {hashlib.sha256(body).hexdigest()}\n".encode()


def decode_manifest(content: bytes) -> tuple[Manifest, dict[str, FileRecord]]:
    """The manifest and the file records of a map.yaml. Raises MapError naming the key and its value.

    The seal comes first: nothing is made of bytes that are not those that were written.
    """
    sealed = SEAL.fullmatch(content)
    if sealed is None or hashlib.sha256(sealed[1]).hexdigest() != sealed[2].decode():
        raise MapError("content does not match the sha256 in its last line: damaged, or edited without renewing it")
    document = strict_yaml.load(sealed[1])
    version = _typed(document.get("format_version"), int, "format_version")
    if version > FORMAT_VERSION:
        raise MapError(f"format_version is {version}, this program reads up to {FORMAT_VERSION}: update vloc_ros")
    if version < 1:
        raise MapError(f"format_version is {version}, the first one was 1")
    records = _typed(document.pop("files", None), Mapping[str, Any], "files")
    files = {_plain_name(name): _record(node, f"files.{name}") for name, node in records.items()}
    for older in range(version, FORMAT_VERSION):
        document = UPGRADES[older](document)
    said = _build(_Document, {**document, "format_version": FORMAT_VERSION}, "")
    same = {field.name: getattr(said, field.name) for field in dataclasses.fields(said) if field.name not in OTHERWISE}
    try:
        return Manifest(
            **same, image_size=said.network.image_size, models=said.network.models, places=said.scenes
        ), files
    except ConfigError as error:
        raise MapError(str(error)) from error


def _from_format_1(document: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1 named the network's outputs without saying what they hold, and scenes only where there are several."""
    network = _typed(document.get("network"), Mapping[str, Any], "network")
    names = _typed(network.get("output_names"), tuple[str, ...], "network.output_names")
    if unknown := [name for name in names if name not in FORMAT_1_OUTPUTS]:
        raise MapError(f"network.output_names: format 1 has no output {unknown[0]!r}")
    kept = {key: value for key, value in network.items() if key != "output_names"}
    outputs = {name: FORMAT_1_OUTPUTS[name] for name in names}
    return {"scenes": [], **document, "network": {**kept, "outputs": outputs}}


def _from_format_2(document: Mapping[str, Any]) -> dict[str, Any]:
    """Format 2 did not know how covariances grow away from the mapping views."""
    calibration = _typed(document.get("calibration"), Mapping[str, Any], "calibration")
    return {**document, "calibration": {"away_scale": 0.0, **calibration}}


UPGRADES: Mapping[int, Callable[[Mapping[str, Any]], dict[str, Any]]] = MappingProxyType(
    {1: _from_format_1, 2: _from_format_2}  # what makes the next format of one
)


def _plain_name(name: str) -> str:
    if not PLAIN_NAME.fullmatch(name):
        raise MapError(f"files: {name!r} is not a plain file name inside the map directory")
    return name


def _record(node: object, where: str) -> FileRecord:
    record = _build(FileRecord, node, where)
    if not SHA256.fullmatch(record.sha256):
        raise MapError(f"{where}.sha256 is {record.sha256!r}, not 64 lower-case hex digits")
    if record.bytes < 0:
        raise MapError(f"{where}.bytes is {record.bytes}")
    return record


def _build(cls: type[T], node: object, where: str) -> T:
    """An instance of a dataclass from a mapping that has exactly its fields, each of the annotated type."""
    kinds = get_type_hints(cls)
    prefix = f"{where}." if where else ""
    values = _typed(node, Mapping[str, Any], where)
    for key in kinds:
        if key not in values:
            raise MapError(f"{prefix}{key} is missing")
    for key in values:
        if key not in kinds:
            raise MapError(f"{prefix}{key} is not a key of format {FORMAT_VERSION}, it is {reprlib.repr(values[key])}")
    try:
        return cls(**{key: _typed(values[key], kind, prefix + key) for key, kind in kinds.items()})
    except ConfigError as error:
        raise MapError(str(error)) from error


def _typed(value: Any, kind: Any, where: str) -> Any:
    """`value` as `kind`: int, float, str, tuple of str, mapping of str to str or to anything, or a dataclass."""
    if dataclasses.is_dataclass(kind):
        return _build(kind, value, where)  # type: ignore[arg-type]
    if kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if kind in (int, str) and type(value) is kind and value != "":
        return value
    if kind == tuple[str, ...] and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if kind == Mapping[str, Any] and isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    if (
        kind == Mapping[str, str]
        and isinstance(value, dict)
        and all(isinstance(x, str) for x in (*value, *value.values()))
    ):
        return value
    expected = {int: "an integer", float: "a finite number", str: "a text", tuple[str, ...]: "a list of texts"}
    raise MapError(f"{where} is {reprlib.repr(value)}, expected {expected.get(kind, 'keys and values')}")


def _plain(value: Any, where: str) -> Any:
    """`value` in YAML's own types: dictionaries, lists, texts, numbers, booleans, null."""
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name), f"{where}.{f.name}") for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_plain(str(key), where): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):  # such as the name of a file, which may hold anything
        return strict_yaml.CONTROL.sub(lambda odd: odd[0].encode("unicode_escape").decode(), value)
    if value is not None and type(value) not in (int, float, bool):
        raise MapError(f"{where}: {reprlib.repr(value)} cannot be written")
    if isinstance(value, float) and not math.isfinite(value):
        raise MapError(f"{where}: {value} is not finite")
    return value
