"""map.yaml: the manifest and the file records as text, strictly checked in both directions."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from vloc_ros.core.feature_spec import EXTRACTOR, FeatureSpec
from vloc_ros.core.lens import LensCorrection
from vloc_ros.core.manifest import Calibration, GateThresholds, Manifest, Place
from vloc_ros.core.model_spec import PRECISIONS, ROLES, ModelSpec, Role, TensorSpec
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.maps import strict_yaml
from vloc_ros.maps.names import NETWORK_FILES, POINTS_FILE, network_file
from vloc_ros.maps.nodes import build, plain, typed
from vloc_ros.maps.older_formats import UPGRADES

FORMAT_VERSION = 4
SEAL = re.compile(rb"(.*\n)sha256: ([0-9a-f]{64})\n", re.DOTALL)
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class _Image:
    width: int
    height: int

    def __post_init__(self) -> None:
        for name, size in vars(self).items():
            if size < 1:
                raise ConfigError(f"image.{name} is {size}, must be positive")


@dataclass(frozen=True)
class _Model:
    files: Mapping[str, str]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class _Document:
    """What map.yaml says besides the file records, in its order."""

    format_version: int
    method: str
    frame_id: str
    created: str
    places: tuple[Place, ...]
    image: _Image
    models: Mapping[str, _Model]
    calibration: Calibration
    gate: GateThresholds
    training: Mapping[str, Any]
    accuracy: Mapping[str, Any]
    features: FeatureSpec | None
    lenses: Mapping[str, LensCorrection] | None
    unknown_scale: bool = field(default=False, metadata={"optional": True})


SAME = (  # in both
    "method", "frame_id", "created", "places", "calibration", "gate", "training", "accuracy", "features",
    "unknown_scale",
)  # fmt: skip
OPTIONAL = ("features", "lenses")  # keys that are not there where they would be null or empty


@dataclass(frozen=True)
class FileRecord:
    """Expected content of one file of the map directory: SHA-256 in lower-case hex, and size."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class MapYaml:
    """What a map.yaml says; `format_version`: the one that it was written in."""

    manifest: Manifest
    files: Mapping[str, FileRecord]
    format_version: int


def record_of(content: bytes) -> FileRecord:
    """The record of a file with this content."""
    return FileRecord(hashlib.sha256(content).hexdigest(), len(content))


def encode_manifest(manifest: Manifest, files: Mapping[str, FileRecord]) -> bytes:
    """map.yaml: the manifest, `files`, and a last line with the SHA-256 of everything before it.

    Raises MapError for a summary value that plain YAML cannot hold, NaN and infinity included.
    """
    said = _Document(
        format_version=FORMAT_VERSION,
        image=_Image(*manifest.image_size),
        lenses=manifest.lenses,
        models={role: _model(role, spec, files) for role, spec in manifest.models.items()},
        **{name: getattr(manifest, name) for name in SAME},
    )
    document = {key: value for key, value in plain(said, "map.yaml").items() if value or key not in OPTIONAL}
    body = strict_yaml.dump({**document, "files": plain(files, "map.yaml: files")})
    return body + f"sha256: {hashlib.sha256(body).hexdigest()}\n".encode()


def _model(role: Role, spec: ModelSpec, files: Mapping[str, FileRecord]) -> _Model:
    names = {precision: network_file(role, precision) for precision in PRECISIONS}
    return _Model(
        files={precision: name for precision, name in names.items() if name in files},
        inputs={name: str(tensor) for name, tensor in spec.inputs.items()},
        outputs={name: str(tensor) for name, tensor in spec.outputs.items()},
    )


def decode_manifest(content: bytes) -> MapYaml:
    """What a map.yaml of any format says. Raises MapError naming the key and its value.

    The seal comes first: nothing is made of bytes that are not those that were written.
    """
    sealed = SEAL.fullmatch(content)
    if sealed is None or hashlib.sha256(sealed[1]).hexdigest() != sealed[2].decode():
        raise MapError("content does not match the sha256 in its last line: damaged, or edited without renewing it")
    document: dict[str, Any] = dict(strict_yaml.load(sealed[1]))
    version = typed(document.get("format_version"), int, "format_version")
    if version > FORMAT_VERSION:
        raise MapError(f"format_version is {version}, this program reads up to {FORMAT_VERSION}: update vloc_ros")
    if version < 1:
        raise MapError(f"format_version is {version}, the first one was 1")
    records = typed(document.pop("files", None), Mapping[str, Any], "files")
    files = {_plain_name(name): _record(node, f"files.{name}") for name, node in records.items()}
    for older in range(version, FORMAT_VERSION):
        document = UPGRADES[older](document, files)
    document = {**dict.fromkeys(OPTIONAL), **document, "format_version": FORMAT_VERSION}
    return MapYaml(_manifest(build(_Document, document, ""), files), files, version)


def _manifest(said: _Document, files: Mapping[str, FileRecord]) -> Manifest:
    if not said.places:
        raise MapError("places: there is none")
    if unknown := [role for role in said.models if role not in ROLES]:
        raise MapError(f"models.{unknown[0]}: there is no such role, there are {', '.join(ROLES)}")
    try:
        models = {cast(Role, role): _spec(model) for role, model in said.models.items()}
        manifest = Manifest(
            **{name: getattr(said, name) for name in SAME},
            lenses=said.lenses or {},
            image_size=(said.image.width, said.image.height),
            models=models,
        )
    except ConfigError as error:
        raise MapError(str(error)) from error
    for role, spec in models.items():
        network = network_file(role)
        if network not in files:
            raise MapError(f"files.{network} is missing")
        if (found := said.models[role].files) != (expected := _model(role, spec, files).files):
            raise MapError(f"models.{role}.files is {dict(found)}, of what `files` lists it is {dict(expected)}")
    named = {name for role in models for name in said.models[role].files.values()}
    if strangers := [name for name in NETWORK_FILES if name in files and name not in named]:
        raise MapError(f"files.{strangers[0]} belongs to none of `models`")
    _require_together(manifest.features, files)
    return manifest


def _require_together(features: FeatureSpec | None, files: Mapping[str, FileRecord]) -> None:
    """Points and the features that they were described with are both there, or neither, and belong together."""
    if features is None:
        if POINTS_FILE in files:
            raise MapError(f"files.{POINTS_FILE} is there, but not `features`, which would say what describes points")
        return
    if POINTS_FILE not in files:
        raise MapError(f"features is {features.name!r}, but files.{POINTS_FILE} is missing")
    if (expected := features.extractor_sha256) and (found := files[network_file(EXTRACTOR)].sha256) != expected:
        raise MapError(
            f"features.extractor_sha256 is {expected[:12]}..., that of {network_file(EXTRACTOR)} is {found[:12]}...: "
            "descriptors and features do not belong together"
        )


def _spec(model: _Model) -> ModelSpec:
    inputs = {name: TensorSpec.parse(text) for name, text in model.inputs.items()}
    return ModelSpec(inputs, {name: TensorSpec.parse(text) for name, text in model.outputs.items()})


def _plain_name(name: str) -> str:
    if not PLAIN_NAME.fullmatch(name):
        raise MapError(f"files: {name!r} is not a plain file name inside the map directory")
    return name


def _record(node: object, where: str) -> FileRecord:
    record = build(FileRecord, node, where)
    if not SHA256.fullmatch(record.sha256):
        raise MapError(f"{where}.sha256 is {record.sha256!r}, not 64 lower-case hex digits")
    if record.bytes < 0:
        raise MapError(f"{where}.bytes is {record.bytes}")
    return record
