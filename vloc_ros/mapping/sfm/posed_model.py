"""A COLMAP model and its images, as a folder of posed images (docs/datasets.md, `folder`) in metres."""

import os
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.dataset_files import read_image
from vloc_ros.datasets.folder import IMAGE_ENDINGS, write_tables
from vloc_ros.errors import DatasetError
from vloc_ros.files import atomic_path, write_errors
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import invert
from vloc_ros.mapping.colmap_model import ColmapModel
from vloc_ros.mapping.sfm.lenses import camera_from_colmap
from vloc_ros.mapping.sfm.scale import Scale, ScaledViews

IMAGES = "images"
MODEL = "sparse"
Float = NDArray[np.float64]
"""Names of what is in the folder besides its tables."""


def views_of(directory: Path, model: ColmapModel, images: Path) -> ScaledViews:
    """The images of a model that have poses. Raises DatasetError for images that are missing or of another size, for
    several cameras, and for names that a folder cannot have."""
    camera = _one_camera(directory, model)
    rows = np.flatnonzero(np.isfinite(model.camera_from_world).all(axis=(1, 2)))
    if not len(rows):
        raise DatasetError(f"{directory}: no image of the model has a pose")
    names, files = [], []
    for name in model.names[rows].tolist():
        file = images / name
        if not file.is_file():
            raise DatasetError(f"{file}: no such image, the model in {directory} has it")
        if file.suffix.lower() not in IMAGE_ENDINGS or len(name.split()) != 1:
            raise DatasetError(f"{file}: images need names without blanks that end in {' or '.join(IMAGE_ENDINGS)}")
        names.append(str(PurePosixPath(name).with_suffix("")))
        files.append(file)
    height, width = read_image(files[0]).shape[:2]
    if (width, height) != (camera.width, camera.height):
        raise DatasetError(
            f"{directory}: the model is of images of {camera.width}x{camera.height} pixels, '{names[0]}' in {images} "
            f"is {width}x{height}: give the images that it was made of"
        )
    return ScaledViews(tuple(names), tuple(files), invert(model.camera_from_world[rows]), camera)


def _one_camera(directory: Path, model: ColmapModel) -> Camera:
    """Raises DatasetError for several that differ."""
    used = np.unique(model.cameras)
    lenses = {
        (str(model.lens_models[row]), *model.lens_params[row].tolist(), *model.sizes[model.cameras == row][0].tolist())
        for row in used
    }
    if len(lenses) != 1:
        raise DatasetError(
            f"{directory}: {len(used)} cameras: a map is made from one; have COLMAP share one camera "
            "(--ImageReader.single_camera 1)"
        )
    (lens,) = lenses
    name, params, (width, height) = lens[0], lens[1:-2], lens[-2:]
    try:
        return camera_from_colmap(str(name), int(width), int(height), params)
    except DatasetError as error:
        raise DatasetError(f"{directory}: {error}") from error


def write_posed(folder: Path, views: ScaledViews, scale: Scale, model: Path) -> None:
    """The views in metres as a folder, with the model scaled in it. Images are links to where they are."""
    import pycolmap

    moved = scale.similarity
    with write_errors(folder, also=(RuntimeError, ValueError)), atomic_path(folder) as new:
        (new / IMAGES).mkdir(parents=True)
        (new / MODEL).mkdir()
        for name, file in zip(views.names, views.files, strict=True):
            link = new / IMAGES / f"{name}{file.suffix}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.realpath(file))
        poses = moved.apply_to_poses(views.map_from_camera)
        write_tables(new, views.camera, dict(zip(views.names, poses, strict=True)))
        reconstruction = pycolmap.Reconstruction(str(model))
        rotation = pycolmap.Rotation3d(moved.rotation)
        reconstruction.transform(pycolmap.Sim3d(moved.scale, rotation, moved.translation))
        reconstruction.write_binary(str(new / MODEL))
