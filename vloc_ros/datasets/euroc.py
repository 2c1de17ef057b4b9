"""Reader of EuRoC MAV's layout, which other data sets have too: mav0/cam0/ and mav0/state_groundtruth_estimate0/."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.calibration_yaml import camera_of, numbers_of, pose_of, read_calibration
from vloc_ros.datasets.dataset_files import check_root, check_size, names_of_split, read_image
from vloc_ros.datasets.posed_files import DepthReader, PosedFiles, RigFiles
from vloc_ros.datasets.stereo import StereoPair
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera
from vloc_ros.geometry.interpolation import Trajectory, trajectory_of
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.trajectory import read_tum
from vloc_ros.geometry.transforms import Matrix, invert, pose_vector
from vloc_ros.text_files import parse_numbers, read_lines

TRUTH = "state_groundtruth_estimate0"
MAX_GAP_NS = NS_PER_S // 4  # between poses that are interpolated
LENSES = {"radial-tangential": Camera, "radtan": Camera, "equidistant": FisheyeCamera}


def open_euroc(root: Path | None, split: str, poses: Path | str | None = None) -> PosedFiles:
    """Open a sequence, the folder that holds mav0. Images are those of cam0; poses of the body are interpolated at
    their stamps, and images without are left out. Depth is computed with the images of cam1, if there are any; it and
    further cameras are those of a rig.

    `split`: "all", NAME where there is a split_NAME.txt, or a file of names, which are those of the images without
    their endings. `poses`: a TUM file of the body, in place of the ground truth. Raises DatasetError.
    """
    root = check_root(root, "euroc")
    base = root / "mav0" if (root / "mav0").is_dir() else root
    camera, body_from_camera = read_sensor(base / "cam0/sensor.yaml")
    where = base / TRUTH / "data.csv" if poses is None else Path(poses)
    truth = _truth(base) if poses is None else _tum(where)
    stamps, files = _images(base / "cam0")
    found, known = truth.at(np.array(stamps, dtype=np.int64), MAX_GAP_NS)
    posed = {
        file.stem: (pose @ body_from_camera, file) for file, pose, is_known in zip(files, found, known, strict=True)
        if is_known
    }  # fmt: skip
    if not posed:
        raise DatasetError(f"{where}: no image of {base / 'cam0'} was taken between two of its poses")
    names = names_of_split(root, split, posed)
    return PosedFiles(
        names=names,
        cameras=(camera,) * len(names),
        poses=tuple(posed[name][0] for name in names),
        images=tuple(posed[name][1] for name in names),
        depths=tuple(base / "cam1/data" / posed[name][1].name for name in names),
        read_camera_depth=_stereo(base, body_from_camera),
        leading="cam0",
        rig=_rig(base, body_from_camera, [posed[name][1].name for name in names]),
    )


def _rig(base: Path, body_from_first: Matrix, files: Sequence[str]) -> dict[str, Callable[[], RigFiles]]:
    """What reads the other cameras, cam1 and so on, whose images have the names of those of cam0."""

    def read(folder: Path) -> RigFiles:
        camera, body_from_camera = read_sensor(folder / "sensor.yaml")
        placed = RigCamera(camera, invert(body_from_first) @ body_from_camera)
        return RigFiles(placed, tuple(folder / "data" / file for file in files))

    folders = sorted(path.parent for path in base.glob("cam[1-9]/sensor.yaml"))
    return {folder.name: partial(read, folder) for folder in folders}


def read_sensor(path: Path) -> tuple[Camera, Matrix]:
    """The camera of a sensor.yaml, and where it is on the body (4, 4). Raises DatasetError."""
    node = read_calibration(path)
    model, lens = node.get("camera_model"), node.get("distortion_model")
    if model != "pinhole" or lens not in LENSES:
        raise DatasetError(
            f"{path}: camera_model {model!r} and distortion_model {lens!r}, known are 'pinhole' and {', '.join(LENSES)}"
        )
    size = numbers_of(path, node, "resolution", (2,))
    if not all(value.is_integer() for value in size):
        raise DatasetError(f"{path}: resolution is {size}, not whole numbers of pixels")
    intrinsics = numbers_of(path, node, "intrinsics", (4,))
    distortion = tuple(numbers_of(path, node, "distortion_coefficients", (4, 5)))
    camera = camera_of(path, LENSES[lens], (int(size[0]), int(size[1])), *intrinsics, distortion)
    return camera, pose_of(path, node, "T_BS")


def _rows(path: Path, columns: int) -> list[tuple[int, list[str]]]:
    """Line numbers and at least so many columns, which are separated by commas."""
    rows = []
    for number, words in read_lines(path):
        row = [word.strip() for word in " ".join(words).split(",")]
        if len(row) < columns:
            raise DatasetError(f"{path}, line {number}: {len(row)} columns, expected at least {columns}, with commas")
        rows.append((number, row))
    if not rows:
        raise DatasetError(f"{path}: it has no line of data")
    return rows


def _stamp(path: Path, number: int, word: str) -> int:
    if not word.isdecimal() or len(word) > 19:
        raise DatasetError(f"{path}, line {number}: '{word}' is no stamp in nanoseconds")
    return int(word)


def _images(folder: Path) -> tuple[list[int], list[Path]]:
    path = folder / "data.csv"
    rows = _rows(path, 2)
    return [_stamp(path, number, row[0]) for number, row in rows], [folder / "data" / row[1] for _, row in rows]


def _truth(base: Path) -> Trajectory:
    """Of the body: x y z, then the quaternion with w first. `sensor.yaml` says where on the body the poses are of."""
    path, sensor = base / TRUTH / "data.csv", base / TRUTH / "sensor.yaml"
    rows = [(number, row[0], parse_numbers(path, number, row[1:8])) for number, row in _rows(path, 8)]
    stamps = [_stamp(path, number, stamp) for number, stamp, _ in rows]
    values: Any = [[*v[:3], *v[4:7], v[3]] for _, _, v in rows]
    trajectory = _valid(path, trajectory_of(stamps, values))
    body_from_sensor = pose_of(sensor, read_calibration(sensor), "T_BS") if sensor.is_file() else np.eye(4)
    if np.allclose(body_from_sensor, np.eye(4)):
        return trajectory
    poses, _ = trajectory.at(trajectory.stamps_ns, 0)
    moved = poses @ invert(body_from_sensor)
    return _valid(path, trajectory_of(trajectory.stamps_ns, [pose_vector(pose) for pose in moved]))


def _tum(path: Path) -> Trajectory:
    known = read_tum(path)
    return _valid(path, trajectory_of([p.stamp_ns for p in known], [pose_vector(p.map_from_camera) for p in known]))


def _valid(path: Path, trajectory: Trajectory | None) -> Trajectory:
    if trajectory is None:
        raise DatasetError(f"{path}: it has no valid pose")
    return trajectory


def _stereo(base: Path, body_from_left: Matrix) -> DepthReader:
    """Gives the depth of an image of cam0 from that and its partner, the image of cam1 with the same name."""

    @lru_cache(maxsize=1)
    def pair(left: Camera) -> StereoPair:
        path = base / "cam1/sensor.yaml"
        right, body_from_right = read_sensor(path)
        try:
            return StereoPair(left, right, invert(body_from_right) @ body_from_left)
        except ConfigError as error:
            raise DatasetError(f"{path}: {error}") from error

    def depth(right_path: Path, left: Camera) -> NDArray[np.float32]:
        right, cameras = read_image(right_path), pair(left)
        check_size(right_path, right, cameras.right.width, cameras.right.height)
        return cameras.depth(read_image(base / "cam0/data" / right_path.name), right)

    return depth
