"""Writes a map directory all at once or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.model_spec import Precision, Role
from vloc_ros.core.types import LandmarkMap
from vloc_ros.errors import MapError, reason_of
from vloc_ros.files import atomic_path
from vloc_ros.maps.landmarks_npz import decode_landmarks, encode_landmarks
from vloc_ros.maps.manifest_yaml import decode_manifest, encode_manifest, record_of
from vloc_ros.maps.reader import (
    LANDMARKS_FILE,
    LISTED_FILES,
    MANIFEST_FILE,
    MAPPING_FILE,
    NETWORK_FILES,
    PREVIEW_FILE,
    network_file,
)


def write_map(
    directory: Path | str,
    landmark_map: LandmarkMap,
    networks: Mapping[Role, Mapping[Precision, bytes]],
    preview_rgb: NDArray[np.uint8],
    mapping: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write a map directory; one that is already there is replaced at the very end, or stays as it is.

    `networks`: ONNX files by role and the precision of their arithmetic, float32 always. `preview_rgb`: uint8
    (H, W, 3). `mapping`: how the map was made, for reports, in JSON's types: `curves` of the training, records of the
    `held_out` frames. The map is written beside its place, flushed to the disk and only then renamed. Raises MapError
    when something other than a map is in the way, when the map would not be readable, or when the disk is full.
    """
    target = Path(directory).resolve()  # a link to a map stays, what it points to is replaced
    try:
        contents = _encode(landmark_map, networks, preview_rgb, mapping)
    except MapError as error:
        raise MapError(f"{target}: cannot write the map: {error}") from error
    try:
        require_replaceable(target)
        with atomic_path(target) as partial:
            partial.mkdir()
            for name, content in contents.items():
                (partial / name).write_bytes(content)
    except OSError as error:
        raise MapError(f"{target}: cannot write the map: {reason_of(error)}") from error


def _encode(
    landmark_map: LandmarkMap,
    networks: Mapping[Role, Mapping[Precision, bytes]],
    preview_rgb: NDArray[np.uint8],
    mapping: Mapping[str, Any],
) -> dict[str, bytes]:
    """Content of every file, decoded once: no good map is ever replaced by one that the reader refuses."""
    if preview_rgb.dtype != np.uint8 or preview_rgb.ndim != 3 or preview_rgb.shape[2] != 3 or not preview_rgb.size:
        raise MapError(f"preview: expected RGB uint8 (H, W, 3), got {preview_rgb.dtype} {preview_rgb.shape}")
    png = cv2.imencode(".png", cv2.cvtColor(preview_rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
    contents = {
        LANDMARKS_FILE: encode_landmarks(landmark_map),
        **{network_file(role, name): file for role, files in networks.items() for name, file in files.items()},
        PREVIEW_FILE: png,
        MAPPING_FILE: json.dumps(dict(mapping), separators=(",", ":"), allow_nan=False).encode(),
    }
    records = {name: record_of(content) for name, content in contents.items()}
    contents[MANIFEST_FILE] = encode_manifest(landmark_map.manifest, records)
    manifest, _ = decode_manifest(contents[MANIFEST_FILE])
    decode_landmarks(contents[LANDMARKS_FILE], manifest)
    return contents


def require_replaceable(target: Path) -> None:
    """Never delete what is not a map: a mistyped path must not cost a home directory. Raises MapError."""
    if not target.exists():
        return
    if not target.is_dir():
        raise MapError(f"{target}: is a file, a map is a directory")
    for entry in target.iterdir():
        if entry.name not in (MANIFEST_FILE, *LISTED_FILES, *NETWORK_FILES):
            raise MapError(f"{target}: holds {entry.name!r}, which is no part of a map; not replacing it")
