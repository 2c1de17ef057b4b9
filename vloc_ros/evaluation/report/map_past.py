"""What a map tells of how it was made, in files that nothing but its report reads: mapping.json and preview.png."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ConfigError, MapError
from vloc_ros.evaluation import strict_json
from vloc_ros.evaluation.records import FrameRecord
from vloc_ros.evaluation.strict_json import number
from vloc_ros.maps import StoredMap
from vloc_ros.maps.reader import MAPPING_FILE

Curves: TypeAlias = Mapping[str, Sequence[tuple[float, float]]]

MAX_BYTES = 1 << 24  # of mapping.json
MAX_PIXELS = 1 << 24  # of preview.png
PNG_SIZE = struct.Struct(">8s4x4sII")  # the signature, and the first chunk's name, width and height
SIGNATURE, HEADER = b"\x89PNG\r\n\x1a\n", b"IHDR"


@dataclass(frozen=True)
class Past:
    """`curves`: of the training, by their names, (iteration, value); `held_out`: the frames that were kept back."""

    curves: Curves
    held_out: list[FrameRecord]


def read_past(stored: StoredMap) -> Past:
    """What mapping.json tells. Raises MapError for what `vloc map` never writes."""
    content = stored.files.get(MAPPING_FILE, b"{}")
    try:
        if len(content) > MAX_BYTES:
            raise ConfigError(f"{len(content)} bytes, at most {MAX_BYTES} are read")
        mapping = strict_json.load(content)
        curves = {name: _curve(points) for name, points in mapping.get("curves", {}).items()}
        return Past(curves, [FrameRecord.from_json(node) for node in mapping.get("held_out", [])])
    except (ValueError, TypeError, AttributeError, ConfigError) as error:
        raise MapError(f"map {stored.map_id}: {MAPPING_FILE} is not what `vloc map` writes ({error})") from error


def _curve(points: Any) -> list[tuple[float, float]]:
    return [(number(iteration), number(value)) for iteration, value in points]


def decode_preview(content: bytes) -> NDArray[np.uint8] | None:
    """RGB (H, W, 3) of a PNG of a size that a preview may have; None for anything else."""
    if len(content) < PNG_SIZE.size:
        return None
    signature, chunk, width, height = PNG_SIZE.unpack_from(content)
    if (signature, chunk) != (SIGNATURE, HEADER) or not 0 < width * height <= MAX_PIXELS:
        return None
    try:
        bgr = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8)
