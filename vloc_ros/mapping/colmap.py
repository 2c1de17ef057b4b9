"""Sparse points of a COLMAP model that was made of a data set's images and lies in its map's frame."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.colmap_model import ColmapModel, read_model
from vloc_ros.mapping.sparse import SparsePoints

Float = NDArray[np.float64]
Ints = NDArray[np.int32]

MIN_TRACK_LENGTH = 3  # images: two may agree by chance
MAX_POINT_ERROR = 2.0  # pixels of the model's images: a point's mean reprojection error
MAX_MEDIAN_ERROR = 0.01  # of the image's width: the observations', with the data set's poses and cameras
SAME_ASPECT = 0.01  # relative difference up to which two images are scaled copies


@dataclass(frozen=True, eq=False)
class ModelViews:
    """Points (P, 3) of a model, metres, and what the data set's frames see of the good ones: by the frame's index, rows
    (n,) of points and where (n, 2) in the frame's image, with its distortion."""

    positions: Float
    seen: Mapping[int, tuple[Ints, Float]]


def read_colmap(directory: Path, dataset: Dataset) -> SparsePoints:
    """The points of the model in `directory` that the data set's frames see; raises as `read_views`."""
    views = read_views(directory, dataset)
    seen = {dataset.names[index]: np.unique(rows).astype(np.int32) for index, (rows, _) in views.seen.items()}
    return _without_unseen(views.positions, seen)


def read_views(directory: Path, dataset: Dataset) -> ModelViews:
    """The model in `directory` (see `read_model`) as the data set's frames see it.

    Points of short tracks or with large errors are left out, and so are frames without an image in the model (see
    `match_images`). The model may be of images of another size; their lens distortion is that of the data set's images.
    Raises DatasetError for a model that cannot be read, that has none of the frames, or whose points are not where the
    data set's poses and cameras see them; ConfigError where pycolmap is not installed.
    """
    model = read_model(directory)
    row_of_image = {name: row for row, name in enumerate(model.names.tolist())}
    matched = match_images(dataset.names, row_of_image)
    if not matched:
        raise DatasetError(
            f"{directory}: none of the model's {len(row_of_image)} images is a frame of the data set: "
            f"'{next(iter(row_of_image), '')}' there, '{next(iter(dataset.names), '')}' here"
        )
    good = (model.track_lengths >= MIN_TRACK_LENGTH) & (model.errors <= MAX_POINT_ERROR)
    seen, errors = {}, [np.zeros(0)]
    for index, name in enumerate(dataset.names):
        if name not in matched:
            continue
        image, camera = row_of_image[matched[name]], dataset.camera(index)
        rows, pixels = _observations(model, image, good)
        if len(rows):
            pixels = _pixels_in(camera, pixels, model.sizes[image], directory)
            errors.append(_errors(camera, dataset.map_from_camera(index), model.positions[rows], pixels) / camera.width)
            seen[index] = rows, pixels
    _check(np.concatenate(errors), dataset, directory)
    return ModelViews(model.positions, seen)


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


def _observations(model: ColmapModel, image: int, good: NDArray[np.bool_]) -> tuple[Ints, Float]:
    """Rows (n,) of the good points that an image of the model sees, and where (n, 2), in COLMAP's pixels."""
    of_image = (model.observed_by == image) & good[model.observed]
    return model.observed[of_image].astype(np.int32), model.pixels[of_image]


def _pixels_in(camera: Camera, pixels: Float, size: NDArray[np.int64], directory: Path) -> Float:
    """Pixels (n, 2) of the model's image of that size in that of the data set. Raises DatasetError if it is another."""
    width, height = size.tolist()
    scale = np.array([camera.width / width, camera.height / height])
    if abs(scale[0] / scale[1] - 1) > SAME_ASPECT:
        raise DatasetError(
            f"{directory}: the model's images are {width}x{height}, "
            f"those of the data set {camera.width}x{camera.height}"
        )
    scaled: Float = pixels * scale - 0.5  # COLMAP counts from the image's corner, not from its first pixel's centre
    return scaled


def _errors(camera: Camera, map_from_camera: Float, points: Float, pixels: Float) -> Float:
    """How far (n,) from `pixels` a camera with its distortion sees points (n, 3) of the map; inf behind it."""
    points = apply(invert(map_from_camera), points)
    projected = camera.project_through_lens(points)
    return np.where(points[:, 2] > 0, np.linalg.norm(projected - pixels, axis=1), np.inf)


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
