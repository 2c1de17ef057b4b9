"""Calibrations in YAML, as OpenCV, ROS and EuRoC write them: numbers, lists of numbers, and matrices."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vloc_ros.errors import ConfigError, DatasetError, reason_of
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import Matrix, rigid_fault
from vloc_ros.text_files import read_bytes

MAX_BYTES = 1 << 16
OPENCV_HEADER = re.compile(r"\A%YAML[: ]1\.\d\s*\n(---\s*\n)?")  # with a colon, it is no directive of YAML
OPENCV_TYPE = re.compile(r"!!opencv-matrix")


def read_calibration(path: Path) -> Mapping[str, Any]:
    """The keys of a file. Raises DatasetError."""
    content = read_bytes(path)
    if len(content) > MAX_BYTES:
        raise DatasetError(f"{path}: {len(content)} bytes, a calibration has at most {MAX_BYTES}")
    try:
        text = OPENCV_TYPE.sub("", OPENCV_HEADER.sub("", content.decode("utf-8-sig")))
        node = yaml.safe_load(text)
    except (UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: no YAML that can be read: {reason_of(error)}") from error
    if not isinstance(node, dict):
        raise DatasetError(f"{path}: it has no keys, is it a calibration?")
    return node


def numbers_of(path: Path, node: Any, key: str, counts: Sequence[int]) -> list[float]:
    """The list of numbers, one of `counts` of them, of a key; of a matrix, its `data`. Raises DatasetError."""
    value = node.get(key) if isinstance(node, Mapping) else None
    if isinstance(value, Mapping):
        value = value.get("data")
    if not isinstance(value, list) or len(value) not in counts:
        expected = " or ".join(map(str, counts))
        found = f"{len(value)} values" if isinstance(value, list) else "missing" if value is None else f"{value!r}"
        raise DatasetError(f"{path}: {key} is {found}, expected {expected} numbers")
    for number in value:
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise DatasetError(f"{path}: {key} has {number!r}, which is no finite number")
    return [float(number) for number in value]


def size_of(path: Path, node: Mapping[str, Any], keys: tuple[str, str]) -> tuple[int, int]:
    """Width and height, whole numbers of pixels, of two keys. Raises DatasetError."""
    width, height = (node.get(key) for key in keys)
    if type(width) is not int or type(height) is not int:
        raise DatasetError(f"{path}: {keys[0]} and {keys[1]} are {width!r} and {height!r}, expected pixels")
    return width, height


def pose_of(path: Path, node: Any, key: str) -> Matrix:
    """A rigid transform of 3x4 or 4x4 numbers (row by row). Raises DatasetError."""
    numbers = numbers_of(path, node, key, (12, 16))
    matrix = np.eye(4)
    matrix[: len(numbers) // 4] = np.reshape(numbers, (-1, 4))
    if fault := rigid_fault(matrix):
        raise DatasetError(f"{path}: {key} has {fault}")
    return matrix


def camera_of(path: Path, kind: type[Camera], size: tuple[int, int], *values: Any) -> Camera:
    """A camera of the file. Raises DatasetError for one that cannot be."""
    try:
        return kind(*size, *values)
    except ConfigError as error:
        raise DatasetError(f"{path}: {error}") from error
