"""COLMAP's database of images, key points and verified matches, from which its mappers start."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pycolmap
from numpy.typing import NDArray

from vloc_ros.core.prefetch import prefetch
from vloc_ros.cores import core_count
from vloc_ros.features.cache import FeatureCache
from vloc_ros.files import write_errors
from vloc_ros.geometry.camera import Camera
from vloc_ros.mapping.sfm.lenses import ESTIMATED_MODEL, colmap_camera
from vloc_ros.mapping.sfm.matches import PairMatches
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]

LEAST_INLIERS, LEAST_SHARE = 40, 0.55  # of a pair's matches: less than that agree where things only look alike
CONFIDENCE, MAX_ROUNDS = 0.999, 1000
MAX_ERROR_PX = 3.0
THREADS = min(4, core_count())
PREFETCHED = 8


@dataclass(frozen=True)
class ImageCamera:
    """The camera of all images, as they are, and whether its focal length is `known` to be about that, and whether it
    and its lens are `fixed`."""

    camera: Camera
    known: bool
    fixed: bool

    def colmap(self) -> Any:
        """As a pycolmap.Camera."""
        own = self.camera
        if self.fixed:
            model, params = colmap_camera(own)
        else:
            model, params = ESTIMATED_MODEL, [own.fx, own.cx + 0.5, own.cy + 0.5, 0.0]
        found = pycolmap.Camera(model=model, width=own.width, height=own.height, params=params)
        found.has_prior_focal_length = self.known or self.fixed
        return found


def write_database(
    path: Path,
    names: Sequence[str],
    features: FeatureCache,
    camera: ImageCamera,
    matches: PairMatches,
    advance: Advance = no_advance,
) -> NDArray[np.int32]:
    """Verify the matches, and write what is left of them, for images of these `names` in COLMAP.

    The pairs (n, 2) of images with at least LEAST_INLIERS matches that one motion of the camera explains.
    """  # fmt: skip
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    lens = camera.colmap()
    pixels = [_pixels(features, index, camera.camera) for index in range(len(features))]
    with write_errors(path, also=(RuntimeError,)):
        with pycolmap.Database.open(str(partial)) as database:
            images = _write_images(database, names, pixels, lens)
            verified = _write_pairs(database, images, pixels, lens, matches, advance)
        partial.rename(path)
    return np.array(verified, dtype=np.int32).reshape(-1, 2)


def _write_images(database: Any, names: Sequence[str], pixels: Sequence[Float], lens: Any) -> list[int]:
    """The numbers that the images get."""
    lens.camera_id = database.write_camera(lens)
    rig = pycolmap.Rig()
    rig.add_ref_sensor(lens.sensor_id)
    rig_id = database.write_rig(rig)
    numbers = []
    for name, found in zip(names, pixels, strict=True):  # no transaction: one that fails would end this process
        image = pycolmap.Image(name=name, camera_id=lens.camera_id)
        image.image_id = database.write_image(image)
        frame = pycolmap.Frame()
        frame.rig_id = rig_id
        frame.add_data_id(image.data_id)
        database.write_frame(frame)
        database.write_keypoints(image.image_id, found.astype(np.float32))
        numbers.append(image.image_id)
    return numbers


def _write_pairs(
    database: Any, images: Sequence[int], pixels: Sequence[Float], lens: Any, matches: PairMatches, advance: Advance
) -> list[tuple[int, int]]:
    def verify(pair: tuple[int, int, NDArray[np.uint32]]) -> tuple[int, int, Any]:
        a, b, rows = pair
        return a, b, verified_geometry(pixels[a], pixels[b], rows)

    verified = []
    for done, (a, b, found) in enumerate(prefetch(iter(matches), verify, THREADS, PREFETCHED), start=1):
        if found is not None:
            database.write_two_view_geometry(images[a], images[b], found)
            verified.append((a, b))
        advance(done, len(matches))
    return verified


def verified_geometry(pixels: Float, others: Float, rows: NDArray[np.uint32]) -> Any:
    """The fundamental matrix between two images, and the matches, rows (m, 2) of pixels (N, 2) and (M, 2), that agree
    with it, as a pycolmap.TwoViewGeometry; None where these are too few. OpenCV's USAC finds the same matches as
    COLMAP's own estimators, in a tenth of their time."""
    found, mask = cv2.findFundamentalMat(
        pixels[rows[:, 0]], others[rows[:, 1]], cv2.USAC_FAST, MAX_ERROR_PX, CONFIDENCE, MAX_ROUNDS
    )
    if found is None or found.shape != (3, 3):
        return None
    kept = rows[mask.ravel().astype(np.bool_)]
    if len(kept) < max(LEAST_INLIERS, LEAST_SHARE * len(rows)):
        return None
    geometry = pycolmap.TwoViewGeometry()
    geometry.config = pycolmap.TwoViewGeometryConfiguration.UNCALIBRATED
    geometry.F = found
    geometry.inlier_matches = kept
    return geometry


def _pixels(features: FeatureCache, index: int, camera: Camera) -> Float:
    """Key points in COLMAP's pixels of the camera's image, of which they were found in a scaled copy."""
    own = features.camera(index)
    scaled: Float = (features.key_points(index).pixels + 0.5) * (camera.fx / own.fx, camera.fy / own.fy)
    return scaled
