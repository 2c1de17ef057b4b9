"""Sparse points of a COLMAP model that was made of a data set's images and lies in its map's frame."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.camera import Camera
from vloc_ros.core.transforms import apply, invert
from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.mapping.sparse import SparsePoints

Float = NDArray[np.float64]
Ints = NDArray[np.int32]

MIN_TRACK_LENGTH = 3  # images: two may agree by chance
MAX_POINT_ERROR = 2.0  # pixels of the model's images: a point's mean reprojection error
MAX_MEDIAN_ERROR = 0.01  # of the image's width: the observations', with the data set's poses and cameras
SAME_ASPECT = 0.01  # relative difference up to which two images are scaled copies


def read_colmap(directory: Path, dataset: Dataset) -> SparsePoints:
    """The points of the model in `directory` (cameras, images, points3D, .bin or .txt) that the data set's frames see.

    Points of short tracks or with large errors are left out, and so are frames without an image in the model (see
    `match_images`). The model may be of images of another size; their lens distortion is that of the data set's images.
    Raises DatasetError for a model that cannot be read, that has none of the frames, or whose points are not where the
    data set's poses and cameras see them; ConfigError where pycolmap is not installed.
    """
    model = _open(directory)
    images = {image.name: image for _, image in sorted(model.images.items())}
    matched = match_images(dataset.names, images)
    if not matched:
        raise DatasetError(
            f"{directory}: none of the model's {len(images)} images is a frame of the data set: "
            f"'{next(iter(images), '')}' there, '{next(iter(dataset.names), '')}' here"
        )
    good = {
        number: point.xyz
        for number, point in sorted(model.points3D.items())
        if point.track.length() >= MIN_TRACK_LENGTH and point.error <= MAX_POINT_ERROR
    }
    positions, row_of = np.array(list(good.values())).reshape(-1, 3), {number: row for row, number in enumerate(good)}
    seen, errors = {}, [np.zeros(0)]
    for index, name in enumerate(dataset.names):
        if name not in matched:
            continue
        image, camera = images[matched[name]], dataset.camera(index)
        rows, pixels = _observations(image, row_of)
        if len(rows):
            pixels = _pixels_in(camera, pixels, model.cameras[image.camera_id], directory)
            errors.append(_errors(camera, dataset.map_from_camera(index), positions[rows], pixels) / camera.width)
            seen[name] = np.unique(rows)
    _check(np.concatenate(errors), dataset, directory)
    return _without_unseen(positions, seen)


def match_images(names: Iterable[str], images: Iterable[str]) -> dict[str, str]:
    """The model's image of each frame that has one: the same path but for its ending, or else one whose path is the
    last part of the frame's or the other way round, if nothing else could be meant."""
    by_file = defaultdict(list)
    for image in images:
        parts = PurePosixPath(image).name.split(".")  # a frame's name may have any part of the ending
        for count in range(1, len(parts) + 1):
            by_file[".".join(parts[:count])].append(image)
    candidates = {name: by_file.get(PurePosixPath(name).name, []) for name in names}
    same = _unambiguous({n: [i for i in found if _parents(i) == _parents(n)] for n, found in candidates.items()})
    taken = set(same.values())
    rest = {n: [i for i in found if i not in taken and _ends_alike(i, n)] for n, found in candidates.items()}
    return same | _unambiguous({name: found for name, found in rest.items() if name not in same})


def _parents(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts[:-1]


def _ends_alike(a: str, b: str) -> bool:
    """Whether the folders of one path are the last ones of the other's."""
    shorter, longer = sorted((_parents(a), _parents(b)), key=len)
    return longer[len(longer) - len(shorter) :] == shorter


def _unambiguous(candidates: dict[str, list[str]]) -> dict[str, str]:
    """What has only one candidate that is nobody else's."""
    claims = Counter(image for found in candidates.values() for image in found)
    return {name: found[0] for name, found in candidates.items() if len(found) == 1 and claims[found[0]] == 1}


def _open(directory: Path) -> Any:
    try:
        import pycolmap  # only for those who have such a model
    except ImportError as error:
        raise ConfigError("a COLMAP model needs the Python package 'pycolmap': pip install pycolmap") from error
    if not directory.is_dir():
        raise DatasetError(f"{directory}: no such directory, it should hold a COLMAP model")
    if not any(directory.glob("cameras.*")):
        models = sorted({str(part.parent) for depth in ("*", "*/*") for part in directory.glob(f"{depth}/cameras.*")})
        hint = f"; give one of {', '.join(models)}" if models else ""
        raise DatasetError(f"{directory}: no COLMAP model in it, which has cameras.bin or cameras.txt{hint}")
    try:
        return pycolmap.Reconstruction(str(directory))
    except (ValueError, RuntimeError, IndexError) as error:
        raise DatasetError(f"{directory}: not a COLMAP model: {str(error).splitlines()[0]}") from error


def _observations(image: Any, row_of: dict[int, int]) -> tuple[Ints, Float]:
    """Rows (n,) of the points that an image of the model sees, and where (n, 2), in COLMAP's pixels."""
    seen = image.get_observation_points2D()
    found = [(row_of[p.point3D_id], *p.xy) for p in seen if p.point3D_id in row_of]
    table = np.array(found, dtype=np.float64).reshape(-1, 3)
    return table[:, 0].astype(np.int32), table[:, 1:]


def _pixels_in(camera: Camera, pixels: Float, model_camera: Any, directory: Path) -> Float:
    """Pixels (n, 2) of the model's image in that of the data set. Raises DatasetError if it is another image."""
    scale = np.array([camera.width / model_camera.width, camera.height / model_camera.height])
    if abs(scale[0] / scale[1] - 1) > SAME_ASPECT:
        raise DatasetError(
            f"{directory}: the model's images are {model_camera.width}x{model_camera.height}, "
            f"those of the data set {camera.width}x{camera.height}"
        )
    scaled: Float = pixels * scale - 0.5  # COLMAP counts from the image's corner, not from its first pixel's centre
    return scaled


def _errors(camera: Camera, map_from_camera: Float, points: Float, pixels: Float) -> Float:
    """How far (n,) from `pixels` a camera with its distortion sees points (n, 3) of the map; inf behind it."""
    points = apply(invert(map_from_camera), points)
    projected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.matrix, np.array(camera.distortion))
    return np.where(points[:, 2] > 0, np.linalg.norm(projected.reshape(-1, 2) - pixels, axis=1), np.inf)


def _check(errors: Float, dataset: Dataset, directory: Path) -> None:
    """Raise DatasetError if the errors (n,), in widths of the image, are too large, or if there are none."""
    if not len(errors):
        raise DatasetError(
            f"{directory}: no frame of the data set sees a point of at least {MIN_TRACK_LENGTH} images "
            f"and at most {MAX_POINT_ERROR:g} pixels of error"
        )
    if not (median := float(np.median(errors))) <= MAX_MEDIAN_ERROR:
        width = dataset.camera(0).width
        raise DatasetError(
            f"{directory}: the model's points are {median * width:.1f} pixels (median) from where the data set's "
            f"poses and cameras see them, not at most {MAX_MEDIAN_ERROR * width:.1f}: "
            "it must be in the frame of the poses, in metres"
        )


def _without_unseen(positions: Float, seen: dict[str, Ints]) -> SparsePoints:
    used = np.unique(np.concatenate(list(seen.values())))
    return SparsePoints(positions[used], {n: np.searchsorted(used, rows).astype(np.int32) for n, rows in seen.items()})
