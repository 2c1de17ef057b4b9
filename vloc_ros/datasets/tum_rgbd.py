"""Reader of the TUM RGB-D benchmark's layout, which many tools write: rgb.txt, depth.txt and groundtruth.txt."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.dataset_files import check_root, check_size, names_of_split, read_depth
from vloc_ros.datasets.folder import read_camera
from vloc_ros.datasets.posed_files import PosedFiles
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.interpolation import trajectory_of
from vloc_ros.geometry.stamps import NS_PER_S, parse_stamp
from vloc_ros.geometry.trajectory import read_tum
from vloc_ros.geometry.transforms import pose_vector
from vloc_ros.text_files import read_lines

ASSOCIATIONS = ("associations.txt", "association.txt", "associate.txt")
MAX_APART_NS = NS_PER_S // 50  # of an image and its depth
MAX_GAP_NS = NS_PER_S // 4  # between poses that are interpolated
DEPTH_UNITS = 0.2  # millimetres: 5000 are a metre
# The benchmark's own calibrations, by what the names of its sequences have in them.
CAMERAS = {
    "freiburg1": Camera(640, 480, 517.3, 516.5, 318.6, 255.3, (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
    "freiburg2": Camera(640, 480, 520.9, 521.0, 325.1, 249.7, (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)),
    "freiburg3": Camera(640, 480, 535.4, 539.2, 320.1, 247.6),
}

Pair = tuple[int, Path, Path]  # an image's stamp in nanoseconds, its file and that of its depth


def open_tum(root: Path | None, split: str, poses: Path | str | None = None) -> PosedFiles:
    """Open a sequence. `split`: "all", NAME where there is a split_NAME.txt, or a file of names, which are those of the
    images without their endings; `poses`: a TUM file in place of groundtruth.txt. Images without a pose or depth near
    in time are left out. Raises DatasetError."""
    root = check_root(root, "tum")
    camera = _camera(root)
    truth_path = root / "groundtruth.txt" if poses is None else Path(poses)
    known = read_tum(truth_path)
    truth = trajectory_of([pose.stamp_ns for pose in known], [pose_vector(pose.map_from_camera) for pose in known])
    pairs = _pairs(root)
    if truth is None:
        raise DatasetError(f"{truth_path}: it has no valid pose")
    found, is_known = truth.at(np.array([stamp for stamp, _, _ in pairs], dtype=np.int64), MAX_GAP_NS)
    posed = {
        rgb.stem: (pose, rgb, depth) for (_, rgb, depth), pose, near in zip(pairs, found, is_known, strict=True) if near
    }
    if not posed:
        raise DatasetError(f"{truth_path}: no image of {root} was taken between two of its poses")
    names = names_of_split(root, split, posed)
    return PosedFiles(
        names=names,
        cameras=(camera,) * len(names),
        poses=tuple(posed[name][0] for name in names),
        images=tuple(posed[name][1] for name in names),
        depths=tuple(posed[name][2] for name in names),
        read_camera_depth=_read_depth,
    )


def _camera(root: Path) -> Camera:
    """That of a camera.txt, or the one that the benchmark says for its sequence."""
    if (path := root / "camera.txt").is_file():
        return read_camera(path)
    for name, camera in CAMERAS.items():
        if name in root.resolve().name:
            return camera
    raise DatasetError(f"{root}: no camera.txt, and it is none of the sequences of {', '.join(CAMERAS)}")


def _pairs(root: Path) -> list[Pair]:
    """Images and depth, as an association file has them, else the nearest in time."""
    for name in ASSOCIATIONS:
        if (path := root / name).is_file():
            return _associated(root, path)
    images, depths = _listed(root / "rgb.txt"), _listed(root / "depth.txt")
    stamps = np.array([stamp for stamp, _ in depths], dtype=np.int64)
    pairs = []
    for stamp, image in images:
        nearest = int(np.argmin(np.abs(stamps - stamp)))
        if abs(int(stamps[nearest]) - stamp) <= MAX_APART_NS:
            pairs.append((stamp, root / image, root / depths[nearest][1]))
    if not pairs:
        raise DatasetError(f"{root}: no depth is within {MAX_APART_NS / NS_PER_S:g} s of an image")
    return pairs


def _listed(path: Path) -> list[tuple[int, str]]:
    """Stamps and files of lines `stamp file`."""
    found = []
    for number, words in read_lines(path):
        if len(words) != 2:
            raise DatasetError(f"{path}, line {number}: {len(words)} columns, expected 'stamp file'")
        found.append((_stamp(path, number, words[0]), words[1]))
    if not found:
        raise DatasetError(f"{path}: it lists no files")
    return found


def _associated(root: Path, path: Path) -> list[Pair]:
    """Lines `stamp file stamp file`, of an image and its depth in either order."""
    pairs = []
    for number, words in read_lines(path):
        if len(words) != 4:
            raise DatasetError(f"{path}, line {number}: {len(words)} columns, expected 'stamp file stamp file'")
        (first, image), (second, depth) = words[:2], words[2:]
        if re.match(r"(.*/)?depth/", image):
            (first, image), (second, depth) = (second, depth), (first, image)
        pairs.append((_stamp(path, number, first), root / image, root / depth))
    if not pairs:
        raise DatasetError(f"{path}: it lists no files")
    return pairs


def _stamp(path: Path, number: int, word: str) -> int:
    try:
        return parse_stamp(word)
    except ValueError as error:
        raise DatasetError(f"{path}, line {number}: {error}") from error


def _read_depth(path: Path, camera: Camera) -> NDArray[np.float32]:
    depth = read_depth(path)
    check_size(path, depth, camera.width, camera.height)
    scaled: NDArray[np.float32] = depth * np.float32(DEPTH_UNITS)
    return scaled
