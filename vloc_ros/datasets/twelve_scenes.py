"""Reader of Stanford's 12 Scenes (structure sensor on a tablet): a scene's info.txt, split.txt and data/."""

import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.dataset_files import check_root, find_split, read_depth, read_matrix
from vloc_ros.datasets.posed_files import PosedFiles
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.text_files import parse_numbers, read_lines, read_words

SPLITS = ("train", "test")
NAMES = "m_colorWidth", "m_colorHeight", "m_calibrationColorIntrinsic"


def open_twelve_scenes(root: Path | None, split: str, poses: Path | str | None = None) -> PosedFiles:
    """Open a scene. `split`: "test", its first sequence as the authors evaluate it, "train", all others, "all", NAME
    where there is a split_NAME.txt, or a file of names. Frames whose pose is not known (INF in its file) are left out.
    Raises DatasetError."""
    root = check_root(root, "twelve_scenes")
    if poses is not None:
        raise DatasetError(f"twelve_scenes: it has poses of its own, --poses {poses} is not for it")
    camera = _camera(root / "info.txt")
    known = [name for name in _names(root, split) if _has_pose(root / "data" / f"{name}.pose.txt")]
    if not known:
        raise DatasetError(f"{root}: no frame of '{split}' has a pose")
    files = [root / "data" / name for name in known]
    return PosedFiles(
        names=tuple(known),
        cameras=(camera,) * len(known),
        poses=tuple(read_matrix(file.with_name(f"{file.name}.pose.txt")) for file in files),
        images=tuple(file.with_name(f"{file.name}.color.jpg") for file in files),
        depths=tuple(file.with_name(f"{file.name}.depth.png") for file in files),
        read_camera_depth=_read_depth,
    )


def _camera(path: Path) -> Camera:
    values = {words[0]: (number, words[2:]) for number, words in read_lines(path) if words[1:2] == ["="]}
    if missing := [name for name in NAMES if name not in values]:
        raise DatasetError(f"{path}: it does not say {', '.join(missing)}")
    width, height, matrix = (parse_numbers(path, *values[name]) for name in NAMES)
    for name, numbers in zip(NAMES[:2], (width, height), strict=True):
        if len(numbers) != 1 or not numbers[0].is_integer():
            raise DatasetError(f"{path}, line {values[name][0]}: {name} is {numbers}, not a whole number of pixels")
    if len(matrix) != 16:
        raise DatasetError(f"{path}, line {values[NAMES[2]][0]}: {len(matrix)} numbers instead of a 4x4 matrix")
    try:
        return Camera(int(width[0]), int(height[0]), matrix[0], matrix[5], matrix[2], matrix[6])
    except ConfigError as error:
        raise DatasetError(f"{path}: {error}") from error


def _names(root: Path, split: str) -> list[str]:
    there = sorted(path.name.removesuffix(".color.jpg") for path in (root / "data").glob("frame-*.color.jpg"))
    if not there:
        raise DatasetError(f"{root}: no data/frame-*.color.jpg in it")
    if strangers := [name for name in there if not re.fullmatch(r"frame-\d+", name)]:
        raise DatasetError(f"{root / 'data' / strangers[0]}.color.jpg: is no frame, its name is not like frame-000000")
    if split in SPLITS and not (root / f"split_{split}.txt").is_file():
        tests = _tests(root / "split.txt")
        return [name for name in there if (int(name.rpartition("-")[2]) <= tests) == (split == "test")]
    path = find_split(root, split)
    return there if path is None else read_words(path)


def _tests(path: Path) -> int:
    """The number of the last frame of the first sequence, which is for tests."""
    for _, words in read_lines(path):
        if found := re.search(r"end=(\d+)", " ".join(words).replace("= ", "=")):
            return int(found[1])
    raise DatasetError(
        f"{path}: it does not say where a sequence ends, like 'sequence0 [frames=357] [start=0 ; end=356]'"
    )


def _has_pose(path: Path) -> bool:
    return not any("inf" in word.lower() for _, words in read_lines(path) for word in words)


def _read_depth(path: Path, camera: Camera) -> NDArray[np.float32]:
    """Depth is registered, with fewer pixels."""
    size = camera.width, camera.height
    return np.asarray(cv2.resize(read_depth(path), size, interpolation=cv2.INTER_NEAREST), dtype=np.float32)
