"""Files of posed images, and what reading them says: for the tests of the datasets."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vloc_ros.datasets import Dataset, Frame, open_dataset
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.transforms import from_quaternion, to_quaternion

RNG = np.random.default_rng(7)


def random_pose() -> NDArray[np.float64]:
    return from_quaternion(RNG.normal(size=4), RNG.normal(size=3))


def write_image(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tiles = RNG.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(tiles, (width, height), interpolation=cv2.INTER_NEAREST))


def write_depth(path: Path, width: int, height: int, millimetres: int = 2000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    depth = np.full((height, width), millimetres, np.uint16)
    depth[0], depth[-1] = 0, 65535
    cv2.imwrite(str(path), depth)


def pose_columns(pose: NDArray[np.float64]) -> str:
    return " ".join(f"{value:.9f}" for value in (*pose[:3, 3], *to_quaternion(pose[:3, :3])))


def read_all(dataset: Dataset, *, depth: bool) -> list[Frame]:
    return [dataset.frame(i, depth=depth) for i in range(len(dataset))]


def fault(kind: str, root: Path | None, split: str = "all", poses: Path | None = None, *, depth: bool = True) -> str:
    """The message of the DatasetError that reading all frames ends in."""
    with pytest.raises(DatasetError) as info:
        read_all(open_dataset(kind, root, split, poses), depth=depth)
    message = str(info.value)
    assert "\n" not in message
    return message
