"""Finds the key points of all frames of a place; no image is decoded again for them."""

import hashlib
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES
from vloc_ros.core.prefetch import prefetch
from vloc_ros.core.session import Tensors
from vloc_ros.cores import core_count
from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import ConfigError, DatasetError, ModelError
from vloc_ros.features.cache import CONTENT, DONE, FeatureCache, array_file, cache_files, open_features, shapes
from vloc_ros.features.extractor import Extractor, within
from vloc_ros.files import write_errors, write_text
from vloc_ros.images.quality import image_quality
from vloc_ros.mapping.labels import undistorted_depth
from vloc_ros.methods.network_input import padded_input, scaled_size
from vloc_ros.progress import Progress
from vloc_ros.training.memory_maps import MemoryMap, memory_map, require_room

THREADS = min(4, core_count())  # that decode images
KEPT_EVERY = 50  # frames, after which an interrupted extraction need not begin anew
UNIT_TOLERANCE = 0.01  # of the length of descriptors, which may have been computed in 16 bits
MAX_RELATIVE_STEP = 0.04  # of depth from one pixel to the next: more is an edge


@dataclass(frozen=True, eq=False)
class _Prepared:
    """What is left of a frame when its image is decoded: `depth` (H, W) at the width and height, `size`, that the image
    has in the extractor's input; `quality` (3,): its `image_quality`."""

    inputs: Tensors
    size: tuple[int, int]
    depth: NDArray[np.float32] | None
    quality: NDArray[np.float32]


def extract_features(frames: Dataset, extractor: Extractor, directory: Path, progress: Progress) -> FeatureCache:
    """The key points of all frames, and their depth where there is depth, in files of `directory`, which is made.

    Goes on where it was interrupted, if frames and extractor are the same; else it begins anew. Raises DatasetError for
    a frame that cannot be used, and when there is no room for all.
    """
    content = _content(frames, extractor)
    with write_errors(directory, DatasetError):
        if (done := _frames_done(directory, content)) is None:
            _begin(directory, content, frames, extractor)
            done = 0
        arrays = {name: np.load(directory / array_file(name), mmap_mode="r+") for name in shapes(1, extractor.features)}
        with progress.bar("features", done) as advance:
            advance(done, len(frames))
            try:
                for rows in _found(frames, extractor, done):
                    for name, row in rows.items():
                        arrays[name][done] = row
                    done += 1
                    if done % KEPT_EVERY == 0:
                        _keep(directory, arrays, done)
                    advance(done, len(frames))
            finally:
                _keep(directory, arrays, done)
    return open_features(directory)


def _content(frames: Dataset, extractor: Extractor) -> Mapping[str, Any]:
    """What is extracted from what, in JSON's types: the same content gives the same arrays."""
    first = frames.frame(0)
    with _naming(first.name):
        try_extractor(extractor, padded_input(first.image, extractor.image_size))
    digest = hashlib.sha256(np.ascontiguousarray(first.image.rgb).data)  # of images, this one stands for all
    for index in range(len(frames)):
        digest.update(f"{frames.camera(index)}".encode())
    return {
        "features": asdict(extractor.features),
        "names": list(frames.names),
        "size": list(extractor.image_size),
        "depth": frames.has_depth,
        "digest": digest.hexdigest(),
    }


def try_extractor(extractor: Extractor, rgb: NDArray[np.uint8]) -> None:
    """Run it once on an image. Raises ModelError for key points that are outside the image, scores that are not in
    order and descriptors that have not the length 1."""
    tensors, (width, height) = extractor.tensors(extractor.inputs(rgb)), extractor.image_size
    scores, found = tensors[SCORES], tensors[SCORES] > 0
    pixels, descriptors = tensors[KEY_POINTS][found], tensors[DESCRIPTORS][found]
    lengths = np.linalg.norm(descriptors, axis=1)
    inside = ((pixels >= -0.5) & (pixels <= np.array([width, height]) - 0.5)).all(axis=1)  # NaN is not
    for fault, faulty in (
        ("scores are not finite", ~np.isfinite(scores)),
        ("scores are below 0", scores < 0),
        ("scores do not fall: the best key points come first", np.diff(scores) > 0),
        ("key points are outside the image", ~inside),
        ("descriptors have not the length 1", ~(np.abs(lengths - 1) <= UNIT_TOLERANCE)),
    ):
        if faulty.any():
            raise ModelError(f"extractor: tried on an image, {int(faulty.sum())} of its {fault}")


@contextmanager
def _naming(frame: str) -> Iterator[None]:
    """Put the frame in front of messages on its image."""
    try:
        yield
    except (ConfigError, ModelError) as error:
        raise DatasetError(f"{frame}: {error}") from error


def _frames_done(directory: Path, content: Mapping[str, Any]) -> int | None:
    """How far an earlier extraction of the same content has come; None where there is none, or not all of it."""
    if not all(path.is_file() for path in cache_files(directory)):
        return None
    try:
        if json.loads((directory / CONTENT).read_text()) != content:
            return None
        return int(json.loads((directory / DONE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _begin(directory: Path, content: Mapping[str, Any], frames: Dataset, extractor: Extractor) -> None:
    """Files of zeros in a new directory; it is not taken for a begun one before all of them are there."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    kinds = {name: (np.dtype(dtype), shape) for name, (dtype, shape) in shapes(len(frames), extractor.features).items()}
    require_room(directory, sum(dtype.itemsize * math.prod(shape) for dtype, shape in kinds.values()), "the features")
    arrays = {name: memory_map(directory / array_file(name), dtype, shape) for name, (dtype, shape) in kinds.items()}
    for index in range(len(frames)):
        camera = frames.camera(index)
        camera = camera.undistorted().resized(*scaled_size(camera.width, camera.height, extractor.image_size))
        arrays["intrinsics"][index] = camera.fx, camera.fy, camera.cx, camera.cy
    _keep(directory, arrays, 0)
    write_text(directory / CONTENT, json.dumps(content), DatasetError)


def _found(frames: Dataset, extractor: Extractor, start: int) -> Iterator[dict[str, NDArray[Any]]]:
    """A row for each of the cache's arrays but the intrinsics, of each frame from `start` on; images are decoded ahead,
    in threads."""

    def prepare(index: int) -> _Prepared:
        frame = frames.frame(index, depth=frames.has_depth)
        camera = frame.image.camera
        size = scaled_size(camera.width, camera.height, extractor.image_size)
        with _naming(frame.name):
            inputs = extractor.inputs(padded_input(frame.image, extractor.image_size))
        depth = None if frame.depth is None else undistorted_depth(camera, frame.depth, *size)
        return _Prepared(inputs, size, depth, image_quality(frame.image.rgb))

    for prepared in prefetch(iter(range(start, len(frames))), prepare, THREADS, 2 * THREADS):
        tensors = within(extractor.tensors(prepared.inputs), np.array(prepared.size))
        pixels = tensors[KEY_POINTS]
        yield {
            "pixels": pixels,
            "scores": tensors[SCORES],
            "descriptors": tensors[DESCRIPTORS],
            "depths": np.zeros(len(pixels)) if prepared.depth is None else depth_at(prepared.depth, pixels),
            "qualities": prepared.quality,
        }


def depth_at(depth: NDArray[np.float32], pixels: NDArray[np.floating]) -> NDArray[np.float64]:
    """Depth (N,) of a depth image (H, W) at pixels (N, 2), between four of its own; 0 where one of these is unknown, or
    where they are at an edge: nobody can say there which of the two surfaces a key point is on."""
    height, width = depth.shape
    x, y = (pixels[:, axis].clip(0, size - 1).astype(np.float64) for axis, size in ((0, width), (1, height)))
    left, top = (np.minimum(value.astype(np.intp), size - 2) for value, size in ((x, width), (y, height)))
    corners = np.stack([depth[top + dy, left + dx] for dy in (0, 1) for dx in (0, 1)]).astype(np.float64)
    right, lower = x - left, y - top
    weights = np.stack([(1 - lower) * (1 - right), (1 - lower) * right, lower * (1 - right), lower * right])
    nearest, farthest = corners.min(axis=0), corners.max(axis=0)
    with np.errstate(invalid="ignore"):  # infinity stands for nothing that the image shows
        flat = (nearest > 0) & np.isfinite(farthest) & (farthest - nearest <= MAX_RELATIVE_STEP * nearest)
        return np.where(flat, (weights * corners).sum(axis=0), 0.0)


def _keep(directory: Path, arrays: Mapping[str, MemoryMap], done: int) -> None:
    """Make sure that the rows of so many frames are on the disk, then say so."""
    for array in arrays.values():
        array.flush()
    write_text(directory / DONE, json.dumps(done), DatasetError)
