"""Images without poses, or of a COLMAP model, become a folder of posed images with a model of points beside it.

Each step keeps what it makes in the work directory; one whose inputs have not changed is not repeated.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.photos import Photos, unpack_photos
from vloc_ros.datasets.posed_files import PosedFiles
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.features.cache import FeatureCache
from vloc_ros.files import write_errors, write_text
from vloc_ros.geometry.camera import Camera
from vloc_ros.mapping.colmap_model import ColmapModel, image_count, read_model
from vloc_ros.mapping.sfm.database import ImageCamera, write_database
from vloc_ros.mapping.sfm.final_adjustment import adjust_finally
from vloc_ros.mapping.sfm.focal_length import FOCAL, FocalLength
from vloc_ros.mapping.sfm.guess import guessed_camera
from vloc_ros.mapping.sfm.keyframes import choose_keyframes
from vloc_ros.mapping.sfm.mapper import run_mapper
from vloc_ros.mapping.sfm.matches import PairMatches, match_images
from vloc_ros.mapping.sfm.options import ReconstructionOptions
from vloc_ros.mapping.sfm.pairs import choose_pairs
from vloc_ros.mapping.sfm.posed_model import IMAGES, MODEL, views_of, write_posed
from vloc_ros.mapping.sfm.registration import describe_unregistered, parts_of, require_one_part, unregistered
from vloc_ros.mapping.sfm.scale import ScaleOptions, check_scale, find_scale
from vloc_ros.mapping.sfm.weak_link import describe_weak_link
from vloc_ros.progress import Progress
from vloc_ros.training.features.extraction import extract_features
from vloc_ros.training.features.opening import image_size_for, open_extractor
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.method_options import SparseOptions
from vloc_ros.training.stages.settings import feature_settings

PHOTOS, STEPS, POSED = "photos", "sfm", "posed"  # folders of the work directory
KEY_POINTS = 1024  # of an image


def reconstructed(options: MapOptions, wanted: ReconstructionOptions, progress: Progress) -> MapOptions:
    """The options with a folder of posed images, and a model of their points, in place of images without poses. Called
    with the work directory held. Raises VlocError for images that cannot become a map."""
    method = _sparse_method(options)
    if options.root is None:
        raise ConfigError("images: --root has to say which")
    if wanted.scale == ScaleOptions():
        raise ConfigError(
            "--scale is missing: images alone do not say how large things are: poses:FILE.tum, "
            "distance:IMAGE,IMAGE,METRES, or markers:METRES"
        )
    size = feature_settings(options)
    photos = unpack_photos(options.root, options.workdir / PHOTOS, size.width, wanted.photos, progress)
    check_scale(wanted.scale, photos.names)
    path, model = _Reconstructing(options.workdir / STEPS, photos, method, wanted, progress).model(size.size)
    return _posed(options, path, model, photos.folder / IMAGES, wanted, progress)


def posed_by_model(options: MapOptions, wanted: ReconstructionOptions, progress: Progress) -> MapOptions:
    """The same of a finished COLMAP model, `options.root`."""
    _sparse_method(options)
    if options.root is None or wanted.images is None:
        raise ConfigError("colmap: --root has to say where the model is, --images where its images are")
    return _posed(options, options.root, read_model(options.root), wanted.images, wanted, progress)


def _sparse_method(options: MapOptions) -> SparseOptions:
    method: Any = options.method
    if "features" not in method.stages or getattr(method, "colmap", None) is not None:
        raise ConfigError(
            f"--method {method.method}: a map from images alone is made of points, with the method pram and without "
            "--colmap"
        )
    sparse: SparseOptions = method
    return sparse


def _posed(
    options: MapOptions,
    path: Path,
    model: ColmapModel,
    images: Path,
    wanted: ReconstructionOptions,
    progress: Progress,
) -> MapOptions:
    """With the model's images and points in metres."""
    folder = options.workdir / POSED
    views = views_of(path, model, images)
    scale = find_scale(views, wanted.scale)
    for line in scale.lines:
        progress.say(line)
    write_posed(folder, views, scale, path)
    method: Any = options.method
    return replace(
        options, dataset="folder", root=folder, split="all", poses=None, fresh=False,
        method=replace(method, colmap=folder / MODEL),
    )  # fmt: skip


class _Steps:
    """Which steps have been done, each from what it was told and from the ones before it."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._behind, self._name = directory, "", ""

    def is_done(self, name: str, inputs: Mapping[str, Any], made: Path) -> bool:
        content = json.dumps([name, inputs, self._behind], default=str, sort_keys=True)
        self._behind, self._name = hashlib.sha256(content.encode()).hexdigest(), name
        record = self._directory / f"{name}.json"
        return record.is_file() and record.read_text() == self._behind and made.exists()

    def keep(self) -> None:
        write_text(self._directory / f"{self._name}.json", self._behind)


class _Reconstructing:
    """Structure from motion, step after step."""

    def __init__(
        self, directory: Path, photos: Photos, method: SparseOptions, wanted: ReconstructionOptions, progress: Progress
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._photos, self._method, self._wanted = directory, photos, method, wanted
        self._progress, self._steps = progress, _Steps(directory)
        self._camera, self._said = _image_camera(photos), False

    def model(self, size_for: Callable[[Camera], tuple[int, int]]) -> tuple[Path, ColmapModel]:
        """That of the largest part, and its directory."""
        names = [str(file.relative_to(self._photos.folder / IMAGES)) for file in self._photos.files]
        features = self._features(size_for(self._camera.camera))
        counts = np.array([features.count(index) for index in range(len(features))])
        keyframes = self._keyframes(features)
        matches = self._matches(features, keyframes)
        pairs = self._verified(names, features, matches)
        if not len(pairs):
            raise DatasetError(f"{self._photos.first.parent}: no two of the {len(names)} images show the same")
        self._require_one_part(names, parts_of(len(names), pairs))  # before the mapper takes its time
        path = self._adjusted(self._mapped(names, keyframes))
        model = read_model(path)
        registered = np.isin(names, model.names)
        reasons = unregistered(names, counts, pairs, registered)
        for line in describe_unregistered(reasons, len(names)):
            self._progress.say(line)
        if not self._camera.fixed:
            self._progress.say(FocalLength.load(path / FOCAL).describe())
        if (weak := describe_weak_link(model)) is not None:
            self._progress.say(weak)
        parts = np.where(registered, 0, 1 + parts_of(len(names), pairs[~registered[pairs].any(axis=1)]))
        self._require_one_part(names, _dense(parts))
        return path, model

    def _features(self, size: tuple[int, int]) -> FeatureCache:
        """Of the images as they are: the lens is not known yet."""
        name = str(self._method.features)
        camera, count = replace(self._camera.camera.undistorted(), cropped=True), len(self._photos.names)
        frames = PosedFiles(
            self._photos.names, (camera,) * count, (np.eye(4),) * count, self._photos.files, (Path("none"),) * count,
            _no_depth,
        )  # fmt: skip
        extractor = open_extractor(name, image_size_for(name, size), KEY_POINTS)
        return extract_features(frames, extractor, self._directory / "features", self._progress)

    def _keyframes(self, features: FeatureCache) -> NDArray[np.intp]:
        path = self._directory / "keyframes.npy"
        content = (self._directory / "features" / "content.json").read_text()
        if self._steps.is_done("keyframes", {"features": content}, path):
            return np.asarray(np.load(path))
        with self._progress.bar("keyframes") as advance:
            keyframes = choose_keyframes(features, advance)
        with write_errors(path):
            np.save(path, keyframes)
        self._steps.keep()
        return keyframes

    def _matches(self, features: FeatureCache, keyframes: NDArray[np.intp]) -> PairMatches:
        wanted, path = self._wanted, self._directory / "matches.npz"
        inputs = {"pairs": wanted.pairs, "partners": wanted.partners}
        if self._steps.is_done("matches", inputs, path):
            return PairMatches.load(path)
        with self._progress.bar("pairs") as advance:
            pairs = choose_pairs(features, keyframes, wanted.pairs, wanted.partners, advance)
        with self._progress.bar("matching") as advance:
            matches = match_images(features, pairs, advance=advance)
        matches.save(path)
        self._steps.keep()
        return matches

    def _verified(self, names: list[str], features: FeatureCache, matches: PairMatches) -> NDArray[np.int32]:
        path, found = self._directory / "database.db", self._directory / "verified.npy"
        if self._steps.is_done("verified", {"camera": str(self._camera)}, path):
            return np.asarray(np.load(found))
        with self._progress.bar("verifying") as advance:
            pairs = write_database(path, names, features, self._camera, matches, advance)
        with write_errors(found):
            np.save(found, pairs)
        self._steps.keep()
        return pairs

    def _require_one_part(self, names: list[str], parts: NDArray[np.int32]) -> None:
        """Else says, once, that there are several."""
        line = require_one_part(str(self._photos.first.parent), names, parts, self._wanted.largest)
        if line is not None and not self._said:
            self._progress.say(line)
            self._said = True

    def _mapped(self, names: list[str], keyframes: NDArray[np.intp]) -> list[Path]:
        directory, mapper = self._directory / "models", self._wanted.mapper
        if self._steps.is_done("mapped", {"mapper": mapper}, directory):
            return sorted(directory.iterdir())
        database, chosen = self._directory / "database.db", [names[row] for row in keyframes]
        with self._progress.bar("mapping") as advance:
            models = run_mapper(database, directory, mapper, len(names), chosen, self._camera.fixed, advance)
        self._steps.keep()
        return models

    def _adjusted(self, models: list[Path]) -> Path:
        """The largest one."""
        directory = self._directory / "adjusted"
        if not self._steps.is_done("adjusted", {}, directory):
            largest = max(models, key=image_count)
            with self._progress.bar("adjusting") as advance:
                images = self._photos.folder / IMAGES
                adjust_finally(largest, images, directory, image_count(largest), self._camera.fixed, advance)
            self._steps.keep()
        return directory


def _dense(parts: NDArray[np.int_]) -> NDArray[np.int32]:
    """Numbered without gaps."""
    return np.unique(parts, return_inverse=True)[1].astype(np.int32)


def _image_camera(photos: Photos) -> ImageCamera:
    """As declared, or as far as the images tell."""
    if photos.camera is not None:
        return ImageCamera(photos.camera, known=True, fixed=True)
    focal, known = guessed_camera(photos.first, photos.size)
    width, height = photos.size
    return ImageCamera(Camera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2), known, fixed=False)


def _no_depth(path: Path, camera: Camera) -> NDArray[np.float32]:
    raise NotImplementedError  # there is none
