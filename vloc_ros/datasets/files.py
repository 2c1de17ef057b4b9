"""Reading the files of a data set; whatever is wrong with one becomes a DatasetError that names it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.transforms import from_quaternion, rigid_fault
from vloc_ros.errors import DatasetError

JPEG_START, JPEG_END, JPEG_SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
SATURATED_DEPTH = 65535  # as unknown as 0
QUATERNION_TOLERANCE = 1e-2  # written with few digits, a unit quaternion is still this close to length 1


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}") from error


def _is_complete_jpeg(data: bytes) -> bool:
    """Whether the end marker follows the first scan. Segments before it are stepped over (they may hold a whole
    thumbnail); inside scans the two bytes of the marker cannot occur."""
    at = len(JPEG_START)
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == JPEG_SCAN:
            return data.find(JPEG_END, at) >= 0
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _decode(where: Path | str, data: bytes, flags: int) -> NDArray[np.integer[Any]]:
    """Decode a JPEG or PNG file. Decoders fill the missing part of a truncated file with grey, so that is checked."""
    if not data:
        raise DatasetError(f"{where}: the file is empty")
    if data.startswith(JPEG_START):
        complete = _is_complete_jpeg(data)
    elif data.startswith(PNG_START):
        complete = PNG_END in data
    else:
        raise DatasetError(f"{where}: neither a JPEG nor a PNG file")
    if not complete:
        raise DatasetError(f"{where}: truncated, the image ends after {len(data)} bytes")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise DatasetError(f"{where}: cannot be decoded ({error.err})") from error
    if image is None:
        raise DatasetError(f"{where}: damaged, cannot be decoded")
    return np.asarray(image)


def decode_image(where: Path | str, data: bytes) -> NDArray[np.uint8]:
    """RGB uint8 (H, W, 3) of the content of a JPEG or PNG file, as stored: an EXIF orientation is ignored, for the
    camera's intrinsics and the depth are those of the unrotated image. Raises DatasetError beginning with `where`."""
    image = _decode(where, data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def read_image(path: Path) -> NDArray[np.uint8]:
    """`decode_image` of a file. Raises DatasetError."""
    return decode_image(path, _read_bytes(path))


def read_depth(path: Path) -> NDArray[np.float32]:
    """Depth (H, W) in metres, 0 = unknown, of a 16-bit PNG in millimetres (0, 65535 = unknown). Raises DatasetError."""
    raw = _decode(path, _read_bytes(path), cv2.IMREAD_UNCHANGED)
    if raw.dtype != np.uint16 or raw.ndim != 2:
        channels = 1 if raw.ndim == 2 else raw.shape[2]
        raise DatasetError(f"{path}: depth must be one channel of 16 bits, this is {channels} of {raw.dtype}")
    depth: NDArray[np.float32] = raw * np.float32(1e-3)
    depth[raw == SATURATED_DEPTH] = 0
    return depth


def check_size(path: Path, image: NDArray[np.generic], width: int, height: int) -> None:
    """Raise DatasetError if the image (H, W, ...) of `path` is not width x height."""
    if image.shape[:2] != (height, width):
        raise DatasetError(f"{path}: {image.shape[1]}x{image.shape[0]} pixels, but its camera has {width}x{height}")


def read_lines(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and words of each line; blank lines and # comments are left out. Raises DatasetError."""
    try:
        text = _read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not a text file (byte {error.start} is not UTF-8)") from error
    lines = ((number, line.split("#")[0].split()) for number, line in enumerate(text.splitlines(), start=1))
    return [(number, words) for number, words in lines if words]


def comma_hint(text: str) -> str:
    """What to say more of columns that cannot be read, if commas are the reason."""
    return "; comma-separated? columns are separated by blanks" if "," in text else ""


def parse_numbers(path: Path, number: int, words: Sequence[str]) -> list[float]:
    """Finite floats, or a DatasetError naming file and line."""
    values = []
    for word in words:
        try:
            values.append(float(word))
        except ValueError:
            raise DatasetError(f"{path}, line {number}: '{word}' is not a number{comma_hint(word)}") from None
    if not np.isfinite(values).all():
        raise DatasetError(f"{path}, line {number}: {' '.join(words)} has a value that is not finite")
    return values


def read_table(path: Path, columns: str) -> dict[str, tuple[int, list[float]]]:
    """Read lines of `name number number ...` as {name: (line number, numbers)}.

    `columns` names all columns, as documentation writes them. Raises DatasetError for a line with other than these
    columns, for a name that comes twice and for a file without any line.
    """
    table: dict[str, tuple[int, list[float]]] = {}
    for number, words in read_lines(path):
        if len(words) != len(columns.split()):
            hint = comma_hint(" ".join(words[1:]) or words[0])  # a name may have a comma
            raise DatasetError(f"{path}, line {number}: {len(words)} columns, expected '{columns}'{hint}")
        if words[0] in table:
            raise DatasetError(f"{path}, line {number}: '{words[0]}' is there already, in line {table[words[0]][0]}")
        table[words[0]] = number, parse_numbers(path, number, words[1:])
    if not table:
        raise DatasetError(f"{path}: it has no line of '{columns}'")
    return table


def parse_pose(
    path: Path, number: int, quat_xyzw: Sequence[float], translation: Sequence[float]
) -> NDArray[np.float64]:
    """4x4 transform of a unit quaternion and a translation in metres. Raises DatasetError naming file and line."""
    length = float(np.linalg.norm(quat_xyzw))
    if abs(length - 1) > QUATERNION_TOLERANCE:
        raise DatasetError(f"{path}, line {number}: the quaternion has length {length:.3g} instead of 1")
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


def read_words(path: Path) -> list[str]:
    """One word a line, each once. Raises DatasetError for more words in a line, repeated words, or an empty file."""
    lines = read_lines(path)
    for number, words in lines:
        if len(words) != 1:
            raise DatasetError(f"{path}, line {number}: {len(words)} words, expected one name")
    names = [words[0] for _, words in lines]
    if not names:
        raise DatasetError(f"{path}: it lists no names")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise DatasetError(f"{path}: '{name}' is listed {count} times")
    return names


def check_root(root: Path | None, kind: str) -> Path:
    """The directory of a data set. Raises DatasetError when it is not given or not there."""
    if root is None:
        raise DatasetError(f"{kind}: this data set needs its root directory")
    if not root.is_dir():
        raise DatasetError(f"{root}: no such directory")
    return root


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
