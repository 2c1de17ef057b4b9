"""Reader of Microsoft's 7-Scenes (Kinect RGB-D): the official layout, and subsets with lists of frames and JPEG."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.dataset_files import check_root, check_size, find_split, parse_pose, read_depth, read_matrix
from vloc_ros.datasets.posed_files import DepthCamera, PosedFiles, find_images
from vloc_ros.datasets.registration import register_depth
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import invert
from vloc_ros.text_files import read_table, read_words

WIDTH, HEIGHT = 640, 480
COLOUR_FOCAL = 525.0
# The Kinect matches windows of 9 x 7 pixels and leaves out the border, so its depth image is the infrared image, which
# calibrations are made of, moved left by 5 and up by 4. Without that, depth edges are 6 and 3 pixels off the colour's.
DEPTH_CAMERA = Camera(WIDTH, HEIGHT, 585.0, 585.0, 320.0 - 5.0, 240.0 - 4.0)
# A public calibration of the Kinect, metres; the data set itself has none.
COLOUR_FROM_DEPTH = np.array(
    [
        [9.9996518012567637e-01, 2.6765126468950343e-03, -7.9041012313000904e-03, -2.5558943178152542e-02],
        [-2.7409311281316700e-03, 9.9996302803027592e-01, -8.1504520778013286e-03, 1.0109636268061706e-04],
        [7.8819942130445332e-03, 8.1718328771890631e-03, 9.9993554558014031e-01, 2.0318321729487039e-03],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
DEPTH_FROM_COLOUR = invert(COLOUR_FROM_DEPTH)
OFFICIAL_SPLITS = {"train": "TrainSplit.txt", "test": "TestSplit.txt"}
IMAGE_ENDINGS = (".color.png", ".color.jpg")
PSEUDO_TRUTH_COLUMNS = "name qw qx qy qz tx ty tz f"
PosedCamera = tuple[NDArray[np.float64], Camera]


def _colour_camera(focal: float) -> Camera:
    return Camera(WIDTH, HEIGHT, focal, focal, 320.0, 240.0)


def _frame_name(word: str) -> str:
    """seq-01/frame-000000 of that with or without .color.png."""
    return re.sub(r"\.color\.(png|jpg)$", "", word)


def _sequence_frames(sequence: Path) -> list[str]:
    """Names of the frames of a sequence in order; the colour images decide."""
    names = {_frame_name(path.name) for path in sequence.glob("frame-*.color.*")}
    if not names:
        raise DatasetError(f"{sequence}: no such sequence, or no frame-*.color.png in it")
    return [f"{sequence.name}/{name}" for name in sorted(names)]


def _split_names(root: Path, split: str) -> tuple[str, ...]:
    path = find_split(root, split, OFFICIAL_SPLITS)
    words = sorted(p.name for p in root.glob("seq-*")) if path is None else read_words(path)
    names: list[str] = []
    for word in words:
        sequence = re.fullmatch(r"(?:sequence|seq-)(\d+)", word)
        names += _sequence_frames(root / f"seq-{int(sequence[1]):02d}") if sequence else [_frame_name(word)]
    if not names:
        raise DatasetError(f"{root}: no frames, there is no directory seq-01 or the like in it")
    if len(set(names)) < len(names):
        raise DatasetError(f"{path or root}: a frame or sequence is listed twice")
    return tuple(names)


def read_pseudo_ground_truth(path: Path) -> dict[str, PosedCamera]:
    """Poses `map_from_camera` and colour cameras by frame name, of a file of `name qw qx qy qz tx ty tz f`:
    world-to-camera in metres and the focal length in pixels (Brachmann et al., ICCV 2021). Raises DatasetError."""
    posed: dict[str, PosedCamera] = {}
    for word, (number, (qw, qx, qy, qz, tx, ty, tz, focal)) in read_table(path, PSEUDO_TRUTH_COLUMNS).items():
        name = _frame_name(word)
        if name in posed:
            raise DatasetError(f"{path}, line {number}: '{name}' is there twice")
        try:
            camera = _colour_camera(focal)
        except ConfigError as error:
            raise DatasetError(f"{path}, line {number}: {error}") from error
        posed[name] = invert(parse_pose(path, number, (qx, qy, qz, qw), (tx, ty, tz))), camera
    return posed


def read_kinect_fusion(root: Path, names: tuple[str, ...]) -> dict[str, PosedCamera]:
    """The data set's own poses. They are the depth camera's: map_from_colour = map_from_depth depth_from_colour."""
    camera = _colour_camera(COLOUR_FOCAL)
    return {name: (read_matrix(root / f"{name}.pose.txt") @ DEPTH_FROM_COLOUR, camera) for name in names}


def _read_raw_depth(path: Path) -> NDArray[np.float32]:
    depth = read_depth(path)
    check_size(path, depth, DEPTH_CAMERA.width, DEPTH_CAMERA.height)
    return depth


def _read_registered(path: Path, camera: Camera) -> NDArray[np.float32]:
    return register_depth(_read_raw_depth(path), DEPTH_CAMERA, camera, COLOUR_FROM_DEPTH)


def open_seven_scenes(root: Path | None, split: str, poses: Path | str | None = None) -> PosedFiles:
    """Open one scene. `split`: "train" and "test" (official), NAME where there is a split_NAME.txt, a file of names, or
    "all"; `poses`: a pseudo-ground-truth file, None for the data set's own KinectFusion poses. Raises DatasetError."""
    root = check_root(root, "seven_scenes")
    names = _split_names(root, split)
    posed = read_kinect_fusion(root, names) if poses is None else read_pseudo_ground_truth(Path(poses))
    if missing := [name for name in names if name not in posed]:
        raise DatasetError(f"{poses}: no pose for {len(missing)} of {len(names)} frames, the first is '{missing[0]}'")
    return PosedFiles(
        names=names,
        cameras=tuple(posed[name][1] for name in names),
        poses=tuple(posed[name][0] for name in names),
        images=find_images([root / name for name in names], IMAGE_ENDINGS),
        depths=tuple(root / f"{name}.depth.png" for name in names),
        read_camera_depth=_read_registered,
        depth_camera=DepthCamera(DEPTH_CAMERA, COLOUR_FROM_DEPTH, _read_raw_depth),
    )
