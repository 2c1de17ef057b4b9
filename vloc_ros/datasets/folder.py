"""Reader of the user's own data: camera.txt, poses.txt, images/ and, if there is any, depth/ (docs/datasets.md). Of
several cameras each has a camera_NAME.txt, and its images begin with NAME/."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.dataset_files import check_root, check_size, find_split, parse_pose, read_depth
from vloc_ros.datasets.posed_files import PosedFiles, find_file, find_images
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.files import write_text
from vloc_ros.geometry.camera import FISHEYE, Camera
from vloc_ros.geometry.fisheye import FisheyeCamera
from vloc_ros.geometry.transforms import POSE_COLUMNS, pose_vector
from vloc_ros.text_files import parse_numbers, read_lines, read_table, read_words

CAMERA_COLUMNS = "width height fx fy cx cy [distortion coefficients] [fisheye] [cropped]"
CROPPED = "cropped"
CAMERA_FILE = "camera.txt"
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png")  # or in capitals
DEPTH_ENDING = ".png"


def read_camera(path: Path) -> Camera:
    """The camera of one line of CAMERA_COLUMNS. Raises DatasetError."""
    lines = read_lines(path)
    if len(lines) != 1:
        raise DatasetError(f"{path}: {len(lines)} lines, expected one of '{CAMERA_COLUMNS}'")
    number, words = lines[0]
    try:
        words, lens, cropped = lens_words(words)
    except ConfigError as error:
        raise DatasetError(f"{path}, line {number}: {error}") from error
    values = parse_numbers(path, number, words)
    if len(values) < 6:
        raise DatasetError(f"{path}, line {number}: {len(values)} numbers, expected '{CAMERA_COLUMNS}'")
    width, height = values[:2]
    if not width.is_integer() or not height.is_integer():
        raise DatasetError(f"{path}, line {number}: image size {words[0]} x {words[1]} is not a whole number of pixels")
    try:
        return lens(int(width), int(height), values[2], values[3], values[4], values[5], tuple(values[6:]), cropped)
    except ConfigError as error:
        raise DatasetError(f"{path}, line {number}: {error}") from error


def lens_words(words: Sequence[str]) -> tuple[list[str], type[Camera], bool]:
    """The numbers of a camera, what kind of one the words behind them make it, and whether its image is cropped. Raises
    ConfigError for a word that is misspelt, stands twice or not behind the numbers."""
    said = [word for word in words if word.lower() in (FISHEYE, CROPPED)]
    numbers = list(words[: len(words) - len(said)])
    for word in said:
        if word != word.lower():
            raise ConfigError(f"camera: '{word}' must be written '{word.lower()}'")
        if said.count(word) > 1:
            raise ConfigError(f"camera: '{word}' stands twice")
        if word in numbers:
            raise ConfigError(f"camera: '{word}' has to stand behind the numbers")
    return numbers, FisheyeCamera if FISHEYE in said else Camera, CROPPED in said


def camera_file(camera: str) -> str:
    """Of one of several cameras, or of the only one, ""."""
    return f"camera_{camera}.txt" if camera else CAMERA_FILE


def read_cameras(root: Path) -> dict[str, Camera]:
    """The cameras of a folder by name, the only one as "". Raises DatasetError."""
    files = sorted(root.glob(camera_file("*")))
    if not files or (root / CAMERA_FILE).is_file():
        return {"": read_camera(root / CAMERA_FILE)}
    return {file.stem.removeprefix("camera_"): read_camera(file) for file in files}


def _camera_of(name: str, cameras: Mapping[str, Camera], root: Path) -> Camera:
    """Of an image."""
    camera = cameras.get("") or cameras.get(name.partition("/")[0])
    if camera is None:
        known = ", ".join(f"{each}/" for each in cameras)
        raise DatasetError(
            f"{root}: frame '{name}' is of no camera: names begin with {known}, or there is a camera.txt"
        )
    return camera


def read_poses(path: Path) -> dict[str, NDArray[np.float64]]:
    """Poses `map_from_camera` by name, in the order of the file. Raises DatasetError."""
    rows = read_table(path, f"name {POSE_COLUMNS}")
    return {name: parse_pose(path, number, row[3:], row[:3]) for name, (number, row) in rows.items()}


def write_tables(root: Path, camera: Camera | Mapping[str, Camera], poses: Mapping[str, NDArray[np.float64]]) -> None:
    """Write the folder's camera.txt, or a file for each of several cameras by their names, and poses.txt. Raises
    ConfigError when they cannot be written."""
    for name, each in camera.items() if isinstance(camera, Mapping) else [("", camera)]:
        write_text(root / camera_file(name), camera_line(each) + "\n")
    rows = [f"{name} {_numbers(pose_vector(pose))}" for name, pose in poses.items()]
    write_text(root / "poses.txt", "\n".join([f"# name {POSE_COLUMNS}", *rows]) + "\n")


def camera_line(camera: Camera) -> str:
    """As `read_camera` reads it."""
    words = [FISHEYE] * isinstance(camera, FisheyeCamera) + [CROPPED] * camera.cropped
    numbers = (camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion)
    return " ".join([f"{camera.width} {camera.height}", _numbers(numbers), *words])


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{value:.12g}" for value in values)


def _depth(base: Path) -> Path:
    """Where a frame's depth is, or else would be."""
    return find_file(base, (DEPTH_ENDING,)) or base.with_name(base.name + DEPTH_ENDING)


def _read_registered_depth(path: Path, camera: Camera) -> NDArray[np.float32]:
    depth = read_depth(path)
    check_size(path, depth, camera.width, camera.height)
    return depth


def open_folder(root: Path | None, split: str, poses: Path | str | None = None) -> PosedFiles:
    """Open a folder of posed images. `split`: "all" (everything in poses.txt), NAME where there is a split_NAME.txt, or
    a file of names; `poses`: a file to read in place of poses.txt. Raises DatasetError."""
    root = check_root(root, "folder")
    cameras = read_cameras(root)
    poses_path = root / "poses.txt" if poses is None else Path(poses)
    known = read_poses(poses_path)
    split_path = find_split(root, split)
    names = tuple(known) if split_path is None else tuple(read_words(split_path))
    for name in names:
        if name not in known:
            raise DatasetError(f"{split_path}: frame '{name}' has no pose in {poses_path}")
    return PosedFiles(
        names=names,
        cameras=tuple(_camera_of(name, cameras, root) for name in names),
        poses=tuple(known[name] for name in names),
        images=find_images([root / "images" / name for name in names], IMAGE_ENDINGS),
        depths=tuple(_depth(root / "depth" / name) for name in names),
        read_camera_depth=_read_registered_depth,
    )
