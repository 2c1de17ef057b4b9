"""Reader of what RTAB-Map exports: `rtabmap-export --images --poses_camera --poses_format 11 MAP.db`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.calibration_yaml import camera_of, numbers_of, pose_of, read_calibration, size_of
from vloc_ros.datasets.dataset_files import check_root, names_of_split, parse_pose, read_depth
from vloc_ros.datasets.posed_files import PosedFiles, find_file
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.text_files import parse_numbers, read_lines

COLUMNS = "stamp x y z qx qy qz qw id"
COUNTS = (8, 9)  # formats 10 and 11: without and with the id of the node
IMAGE_ENDINGS, DEPTH_ENDING = (".jpg", ".png"), ".png"
ASPECT_TOLERANCE = 0.02  # of the ratio of the sides, where depth has fewer pixels


def open_rtabmap(root: Path | None, split: str, poses: Path | str | None = None) -> PosedFiles:
    """Open an export: NAME_rgb/, NAME_depth/ and NAME_calib/, named by stamp or by id, and NAME_camera_poses.txt, or
    NAME_poses.txt of the robot, which the calibrations' local_transform makes the camera's. NAME_ may be missing.

    `split`: "all", NAME where there is a split_NAME.txt, or a file of names. `poses`: a file in place of the export's
    poses of the camera. Nodes without image are left out. Raises DatasetError.
    """
    root = check_root(root, "rtabmap")
    images = _folder(root, "rgb")
    known, is_camera = _poses(root, None if poses is None else Path(poses))
    posed = _with_image(known, images)
    if not posed:
        raise DatasetError(f"{images}: it has no image of a node that has a pose, named by its stamp or id")
    names = names_of_split(root, split, posed)
    calibrations = {name: _calibration(root, name) for name in names}
    cameras = {name: _camera(*calibrations[name]) for name in names}
    depths = next((path for path in _folders(root, "depth")), root / "depth")
    return PosedFiles(
        names=names,
        cameras=tuple(cameras[name] for name in names),
        poses=tuple(posed[name][0] @ (np.eye(4) if is_camera else _local(*calibrations[name])) for name in names),
        images=tuple(posed[name][1] for name in names),
        depths=tuple(depths / f"{name}{DEPTH_ENDING}" for name in names),
        read_camera_depth=_read_depth,
    )


def _folders(root: Path, part: str) -> list[Path]:
    return sorted(path for path in (root / part, *root.glob(f"*_{part}")) if path.is_dir())


def _folder(root: Path, part: str) -> Path:
    found = _folders(root, part)
    if not found and _folders(root, "left"):
        raise DatasetError(f"{root}: it is of a stereo camera (left and right images), only RGB-D is read")
    if len(found) != 1:
        names = ", ".join(path.name for path in found)
        raise DatasetError(f"{root}: {names or f'no {part} or NAME_{part} folder'} in it, expected one of an export")
    return found[0]


def _poses(root: Path, given: Path | None) -> tuple[dict[str, Matrix], bool]:
    """Poses by stamp and by id, as the file writes them, and whether they are the camera's."""
    if given is not None:
        return _read_poses(given), True
    if several := sorted(root.glob("*camera_poses_[0-9]*.txt")):
        raise DatasetError(f"{several[0]}: the images are of several cameras side by side, only those of one are read")
    for pattern, is_camera in (("*camera_poses.txt", True), ("*poses.txt", False)):
        found = sorted(root.glob(pattern))
        if len(found) > 1:
            raise DatasetError(f"{root}: {', '.join(path.name for path in found)}; say which with --poses")
        if found:
            return _read_poses(found[0]), is_camera
    raise DatasetError(f"{root}: no NAME_camera_poses.txt in it: export with --poses_camera --poses_format 11")


def _read_poses(path: Path) -> dict[str, Matrix]:
    poses: dict[str, Matrix] = {}
    for number, words in read_lines(path):
        if len(words) not in COUNTS:
            hint = ": export with --poses_format 11" if len(words) == 12 else ""
            raise DatasetError(f"{path}, line {number}: {len(words)} columns, expected '{COLUMNS}'{hint}")
        values = parse_numbers(path, number, words[1:8])
        pose = parse_pose(path, number, values[3:], values[:3])
        poses.update(dict.fromkeys((words[0], *words[8:]), pose))
    return poses


def _with_image(poses: Mapping[str, Matrix], images: Path) -> dict[str, tuple[Matrix, Path]]:
    found = ((name, pose, find_file(images / name, IMAGE_ENDINGS)) for name, pose in poses.items())
    return {name: (pose, path) for name, pose, path in found if path is not None}


def _calibration(root: Path, name: str) -> tuple[Path, Mapping[str, Any]]:
    """Of an image, or the only one there is."""
    folder = next(iter(_folders(root, "calib")), root)
    own, files = folder / f"{name}.yaml", sorted(folder.glob("*.yaml"))
    if not own.is_file() and len(files) != 1:
        raise DatasetError(f"{own}: it is not there, and {folder} has not one calibration for all")
    path = own if own.is_file() else files[0]
    return path, read_calibration(path)


def _camera(path: Path, node: Mapping[str, Any]) -> Camera:
    """RTAB-Map works on rectified images, whose camera is the projection matrix; camera_matrix was written wrongly by
    older versions (introlab/rtabmap, issue 1253)."""
    size = size_of(path, node, ("image_width", "image_height"))
    projection = numbers_of(path, node, "projection_matrix", (12,))
    return camera_of(path, Camera, size, projection[0], projection[5], projection[2], projection[6])


def _local(path: Path, node: Mapping[str, Any]) -> Matrix:
    """Where the camera is on the robot."""
    if "local_transform" not in node:
        raise DatasetError(
            f"{path}: no local_transform in it, and the poses are the robot's: export with --poses_camera"
        )
    return pose_of(path, node, "local_transform")


def _read_depth(path: Path, camera: Camera) -> NDArray[np.float32]:
    """Depth is registered, perhaps with fewer pixels."""
    depth = read_depth(path)
    (height, width), size = depth.shape, (camera.width, camera.height)
    if abs(width * camera.height / (height * camera.width) - 1) > ASPECT_TOLERANCE:
        raise DatasetError(f"{path}: {width}x{height} pixels, of another shape than its image's {size[0]}x{size[1]}")
    return np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST), dtype=np.float32)
