"""What a map tells of how it was made, in files that nothing but its report reads: mapping.json and preview.png."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ConfigError, ImageError, MapError
from vloc_ros.evaluation.json_parsing import finite_number, parse_json
from vloc_ros.evaluation.recording import Recording
from vloc_ros.evaluation.records import FrameRecord
from vloc_ros.images.compressed import decode_rgb
from vloc_ros.maps import StoredMap
from vloc_ros.maps.names import MAPPING_FILE, PREVIEW_FILE

Curves: TypeAlias = Mapping[str, Sequence[tuple[float, float]]]

MAX_BYTES = 1 << 24  # of mapping.json


@dataclass(frozen=True)
class MappingRecord:
    """`curves`: of the training, by their names, (iteration, value); `held_out`: the frames that were kept back, and
    `pictures` of the worst of them by name, RGB; `recordings`: of maps of points, their images one by one."""

    curves: Curves
    held_out: list[FrameRecord]
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    recordings: Sequence[Recording] = ()


def read_mapping_record(stored: StoredMap) -> MappingRecord:
    """What mapping.json tells. Raises MapError for what `vloc map` never writes."""
    content = stored.files.get(MAPPING_FILE, b"{}")
    try:
        if len(content) > MAX_BYTES:
            raise ConfigError(f"{len(content)} bytes, at most {MAX_BYTES} are read")
        mapping = parse_json(content)
        curves = {name: _curve(points) for name, points in mapping.get("curves", {}).items()}
        return MappingRecord(
            curves,
            [FrameRecord.from_json(node) for node in mapping.get("held_out", [])],
            {name: decode_rgb(base64.b64decode(text)) for name, text in mapping.get("pictures", {}).items()},
            [Recording.from_json(node) for node in mapping.get("recordings", [])],
        )
    except (KeyError, ValueError, TypeError, AttributeError, ConfigError, ImageError) as error:
        raise MapError(f"map {stored.map_id}: {MAPPING_FILE} is not what `vloc map` writes ({error})") from error


def _curve(points: Any) -> list[tuple[float, float]]:
    return [(finite_number(iteration), finite_number(value)) for iteration, value in points]


def decode_preview(stored: StoredMap) -> NDArray[np.uint8] | None:
    """preview.png as RGB (H, W, 3); None where there is none, or one that cannot be decoded."""
    try:
        return decode_rgb(stored.files.get(PREVIEW_FILE, b""))
    except ImageError:
        return None
