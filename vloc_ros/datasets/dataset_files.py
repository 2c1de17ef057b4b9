"""Reading the files of a data set; whatever is wrong with one becomes a DatasetError that names it."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.manifest import MAX_COORDINATE_M
from vloc_ros.errors import DatasetError, ImageError
from vloc_ros.geometry.transforms import from_quaternion, rigid_fault
from vloc_ros.images import decode_depth, decode_rgb
from vloc_ros.text_files import parse_numbers, read_bytes, read_lines, read_words

Pixels = TypeVar("Pixels", bound=NDArray[Any])
QUATERNION_TOLERANCE = 1e-2  # written with few digits, a unit quaternion is still this close to length 1


def read_image(path: Path) -> NDArray[np.uint8]:
    """`images.decode_rgb` of a file. Raises DatasetError."""
    return _decoded(path, decode_rgb)


def read_depth(path: Path) -> NDArray[np.float32]:
    """`images.decode_depth` of a file. Raises DatasetError."""
    return _decoded(path, decode_depth)


def _decoded(path: Path, decode: Callable[[bytes], Pixels]) -> Pixels:
    data = read_bytes(path)
    try:
        return decode(data)
    except ImageError as error:
        raise DatasetError(f"{path}: {error}") from error


def check_size(path: Path, image: NDArray[np.generic], width: int, height: int) -> None:
    """Raise DatasetError if the image (H, W, ...) of `path` is not width x height."""
    if image.shape[:2] != (height, width):
        raise DatasetError(f"{path}: {image.shape[1]}x{image.shape[0]} pixels, but its camera has {width}x{height}")


def parse_pose(
    path: Path, number: int, quat_xyzw: Sequence[float], translation: Sequence[float]
) -> NDArray[np.float64]:
    """4x4 transform of a unit quaternion and a translation in metres. Raises DatasetError naming file and line."""
    length = float(np.linalg.norm(quat_xyzw))
    if abs(length - 1) > QUATERNION_TOLERANCE:
        raise DatasetError(f"{path}, line {number}: the quaternion has length {length:.3g} instead of 1")
    if not float(np.abs(translation).max()) <= MAX_COORDINATE_M:
        raise DatasetError(f"{path}, line {number}: a position of {list(translation)} m cannot be")
    return from_quaternion(quat_xyzw, translation)


def read_matrix(path: Path) -> NDArray[np.float64]:
    """Rigid 4x4 transform, four numbers a line. Raises DatasetError."""
    lines = read_lines(path)
    rows = [parse_numbers(path, number, words) for number, words in lines]
    if [len(row) for row in rows] != [4, 4, 4, 4]:
        raise DatasetError(f"{path}: rows of {[len(row) for row in rows]} numbers instead of a 4x4 matrix")
    matrix = np.array(rows)
    if fault := rigid_fault(matrix):
        raise DatasetError(f"{path}: the pose has {fault}")
    return matrix


def check_root(root: Path | None, kind: str) -> Path:
    """The directory of a data set. Raises DatasetError when it is not given or not there."""
    if root is None:
        raise DatasetError(f"{kind}: this data set needs its root directory")
    if not root.is_dir():
        raise DatasetError(f"{root}: no such directory")
    return root


def names_of_split(root: Path, split: str, posed: Collection[str]) -> tuple[str, ...]:
    """The names of a split of images of which these have a pose, all of them for "all". Raises DatasetError."""
    path = find_split(root, split)
    names = tuple(posed) if path is None else tuple(read_words(path))
    if missing := [name for name in names if name not in posed]:
        raise DatasetError(f"{path}: {len(missing)} of {len(names)} images have no pose, the first is '{missing[0]}'")
    return names


def find_split(root: Path, split: str, official: dict[str, str] | None = None) -> Path | None:
    """The file that lists a split: `split` itself if it is a path, else split_NAME.txt, else the file name that
    `official` gives; None for "all". Raises DatasetError listing the splits there are."""
    path = Path(split)
    if path.suffix or len(path.parts) > 1:
        return path
    files = {name: root / file for name, file in (official or {}).items() if (root / file).is_file()}
    files |= {file.stem.removeprefix("split_"): file for file in sorted(root.glob("split_*.txt"))}
    if split in files:
        return files[split]
    if split == "all":
        return None
    known = ", ".join(sorted({"all", *files}))
    raise DatasetError(f"{root}: no split '{split}'; it has {known}; or give the path of a file of names")
