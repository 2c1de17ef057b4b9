"""Writes a map directory all at once or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.manifest import Manifest
from vloc_ros.core.model_spec import Precision, Role
from vloc_ros.core.types import LandmarkMap
from vloc_ros.errors import MapError, reason_of
from vloc_ros.files import atomic_path
from vloc_ros.maps.correction_npz import decode_correction, encode_correction
from vloc_ros.maps.manifest_yaml import decode_manifest, encode_manifest, record_of
from vloc_ros.maps.names import (
    ALL_FILES,
    CORRECTION_FILE,
    MANIFEST_FILE,
    MAPPING_FILE,
    POINTS_FILE,
    PREVIEW_FILE,
    REGIONS_FILE,
    SURFACE_FILE,
    network_file,
)
from vloc_ros.maps.points_npz import decode_points, encode_points
from vloc_ros.maps.regions_npz import decode_regions, encode_regions
from vloc_ros.maps.surface_npz import decode_surface, encode_surface


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
    try:
        contents = map_files(landmark_map, networks, preview_rgb, mapping)
    except MapError as error:
        raise MapError(f"{directory}: cannot write the map: {error}") from error
    write_files(directory, contents)


def write_files(directory: Path | str, contents: Mapping[str, bytes]) -> None:
    """Write the files of a map by name, all or none of them. Raises MapError, as `write_map`."""
    target = Path(os.path.realpath(directory))  # a link to a map stays, what it points to is replaced
    try:
        require_replaceable(target)
        with atomic_path(target) as partial:
            partial.mkdir()
            for name, content in contents.items():
                (partial / name).write_bytes(content)
    except OSError as error:
        raise MapError(f"{target}: cannot write the map: {reason_of(error)}") from error


def map_files(
    landmark_map: LandmarkMap,
    networks: Mapping[Role, Mapping[Precision, bytes]],
    preview_rgb: NDArray[np.uint8],
    mapping: Mapping[str, Any],
) -> dict[str, bytes]:
    """What `write_map` writes: the content of every file by its name, decoded once, so that no good map is ever
    replaced by one that the reader refuses. Raises MapError."""
    if preview_rgb.dtype != np.uint8 or preview_rgb.ndim != 3 or preview_rgb.shape[2] != 3 or not preview_rgb.size:
        raise MapError(f"preview: expected RGB uint8 (H, W, 3), got {preview_rgb.dtype} {preview_rgb.shape}")
    png = cv2.imencode(".png", cv2.cvtColor(preview_rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
    points, correction, surface = landmark_map.points, landmark_map.correction, landmark_map.surface
    contents = {
        REGIONS_FILE: encode_regions(landmark_map),
        **({POINTS_FILE: encode_points(points)} if points else {}),
        **({CORRECTION_FILE: encode_correction(correction)} if correction else {}),
        **({SURFACE_FILE: encode_surface(surface)} if surface else {}),
        **{network_file(role, name): file for role, files in networks.items() for name, file in files.items()},
        PREVIEW_FILE: png,
        MAPPING_FILE: json.dumps(dict(mapping), separators=(",", ":"), allow_nan=False).encode(),
    }
    return sealed(landmark_map.manifest, contents)


def sealed(manifest: Manifest, contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a map with their map.yaml, which says what they are. Raises MapError for what could not be read."""
    records = {name: record_of(content) for name, content in contents.items()}
    manifest_bytes = encode_manifest(manifest, records)
    said = decode_manifest(manifest_bytes).manifest
    points = decode_points(contents[POINTS_FILE]) if POINTS_FILE in contents else None
    correction = decode_correction(contents[CORRECTION_FILE]) if CORRECTION_FILE in contents else None
    surface = decode_surface(contents[SURFACE_FILE]) if SURFACE_FILE in contents else None
    decode_regions(contents[REGIONS_FILE], said, points, correction, surface)
    return {**contents, MANIFEST_FILE: manifest_bytes}


def require_replaceable(target: Path) -> None:
    """Never delete what is not a map: a mistyped path must not cost a home directory. Raises MapError."""
    if not target.exists():
        return
    if not target.is_dir():
        raise MapError(f"{target}: is a file, a map is a directory")
    for entry in target.iterdir():
        if entry.name not in ALL_FILES:
            raise MapError(f"{target}: holds {entry.name!r}, which is no part of a map; not replacing it")
