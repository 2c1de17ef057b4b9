"""Reader of Cambridge Landmarks: a scene's dataset_train.txt, dataset_test.txt, reconstruction.nvm and images."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.dataset_files import check_root, find_split, parse_pose, read_depth, read_image
from vloc_ros.datasets.posed_files import PosedFiles, find_images
from vloc_ros.errors import ConfigError, DatasetError, reason_of
from vloc_ros.files import open_regular
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import Matrix, invert
from vloc_ros.text_files import parse_numbers, read_lines, read_words

HEADER = ("Visual", "ImageFile,")  # how the first two lines begin
COLUMNS = "name X Y Z W P Q R"
NVM = "NVM_V3"
NVM_COLUMNS = "name focal qw qx qy qz x y z radial 0"
ENDINGS = (".png", ".jpg")
SPLITS = {"train": "dataset_train.txt", "test": "dataset_test.txt"}


def open_cambridge(root: Path | None, split: str, poses: Path | str | None = None) -> PosedFiles:
    """Open a scene. `split`: "train", "test", "all", NAME where there is a split_NAME.txt, or a file of names, which
    are those of the images without their endings. There is no depth. Raises DatasetError."""
    root = check_root(root, "cambridge")
    if poses is not None:
        raise DatasetError(f"cambridge: it has poses of its own, --poses {poses} is not for it")
    known = {name: pose for file in SPLITS.values() for name, pose in _poses(root / file).items()}
    lenses = _lenses(root / "reconstruction.nvm")
    path = find_split(root, split, SPLITS)
    if path is None:
        names = tuple(known)
    else:
        names = tuple(_poses(path)) if path.name in SPLITS.values() else tuple(read_words(path))
    for what, there in (("pose", known), ("camera in reconstruction.nvm", lenses)):
        if missing := [name for name in names if name not in there]:
            raise DatasetError(
                f"{root}: {len(missing)} of {len(names)} images have no {what}, the first is '{missing[0]}'"
            )
    images = find_images([root / name for name in names], ENDINGS)
    height, width = read_image(images[0]).shape[:2]
    return PosedFiles(
        names=names,
        cameras=tuple(_camera(root, name, width, height, *lenses[name]) for name in names),
        poses=tuple(known[name] for name in names),
        images=images,
        depths=tuple(root / f"{name}.depth.png" for name in names),
        read_camera_depth=_no_depth,
    )


def _poses(path: Path) -> dict[str, Matrix]:
    """`map_from_camera` by name: files have the camera's position, and the world-to-camera rotation with w first."""
    found: dict[str, Matrix] = {}
    for number, words in read_lines(path):
        if words[0] in HEADER and number < 3:
            continue
        if len(words) != len(COLUMNS.split()):
            raise DatasetError(f"{path}, line {number}: {len(words)} columns, expected '{COLUMNS}'")
        x, y, z, w, p, q, r = parse_numbers(path, number, words[1:])
        pose = invert(parse_pose(path, number, (p, q, r, w), (0.0, 0.0, 0.0)))
        pose[:3, 3] = parse_pose(path, number, (0.0, 0.0, 0.0, 1.0), (x, y, z))[:3, 3]
        name = str(Path(words[0]).with_suffix(""))
        if name in found:
            raise DatasetError(f"{path}, line {number}: '{words[0]}' is there already")
        found[name] = pose
    if not found:
        raise DatasetError(f"{path}: it has no line of '{COLUMNS}'")
    return found


def _lenses(path: Path) -> dict[str, tuple[float, float]]:
    """Focal length (pixels) and radial distortion by name, of the cameras of an NVM file's first model. Its points,
    which may be hundreds of megabytes, are not read."""
    lines = _nvm_lines(path)
    if next(lines, (0, [""]))[1][0] != NVM:
        raise DatasetError(f"{path}: it does not begin with {NVM}")
    number, words = next(lines, (1, [""]))
    if len(words) != 1 or not words[0].isdecimal() or int(words[0]) < 1:
        raise DatasetError(f"{path}, line {number}: {' '.join(words)[:80]!r} is not the number of cameras")
    count, found = int(words[0]), {}
    for number, words in islice(lines, count):
        if len(words) != len(NVM_COLUMNS.split()):
            raise DatasetError(f"{path}, line {number}: {len(words)} columns, expected '{NVM_COLUMNS}'")
        values = parse_numbers(path, number, words[1:])
        found[str(Path(words[0]).with_suffix(""))] = values[0], values[8]
    if len(found) < count:
        raise DatasetError(f"{path}: {len(found)} different cameras, it says {count}: cut short?")
    return found


def _nvm_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and words of each line that has some, read as they are asked for. Raises DatasetError."""
    try:
        with open_regular(path) as file:
            for number, line in enumerate(file, start=1):
                if words := line.decode("utf-8-sig").split():
                    yield number, words
    except OSError as error:
        raise DatasetError(f"{path}: {reason_of(error)}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not a text file (byte {error.start} of a line is not UTF-8)") from error


def _camera(root: Path, name: str, width: int, height: int, focal: float, radial: float) -> Camera:
    """VisualSFM's radial distortion leads from the measured to the undistorted point, m (1 + d |m|^2) = p, OpenCV's the
    other way round: m = p (1 - d |p|^2 + 3 d^2 |p|^4 - 12 d^3 |p|^6 + ...)."""
    lens = (-radial, 3 * radial**2, 0.0, 0.0, -12 * radial**3) if radial else ()
    try:
        return Camera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2, lens)
    except ConfigError as error:
        raise DatasetError(f"{root / 'reconstruction.nvm'}: '{name}': {error}") from error


def _no_depth(path: Path, camera: Camera) -> NDArray[np.float32]:
    """There is none; says so."""
    return read_depth(path)
