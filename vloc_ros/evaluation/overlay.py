"""Draws what a pose was made of: landmark segments and votes, voted landmarks, and where the pose puts them."""

import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.pipeline import run_one
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.transforms import apply, invert
from vloc_ros.core.types import CameraImage, Correspondences, PoseEstimate, Rejection
from vloc_ros.errors import ConfigError
from vloc_ros.evaluation.caption import GREEN, RED, WHITE, write_caption
from vloc_ros.evaluation.output import write_bytes
from vloc_ros.localizer import Localizer

Picture = NDArray[np.uint8]

MIN_WIDTH = 960  # small images are enlarged, so that lines stay thin
TINT = 0.4
VOTE_SPACING, VOTE_LENGTH = 12.0, 9.0  # picture pixels
BLACK = (0, 0, 0)
SUBPIXEL_BITS = 4  # of cv2's drawing functions
GOLDEN_RATIO = 0.618033988749895
HUES = cv2.cvtColor(np.array([[(hue, 170, 255) for hue in range(180)]], dtype=np.uint8), cv2.COLOR_HSV2RGB)[0]


def draw_overlay(localizer: Localizer, image: CameraImage, result: PoseEstimate | Rejection) -> Picture:
    """The undistorted image, RGB uint8 and at least MIN_WIDTH wide, with what `result` was made of drawn into it.

    Tints: cells of one landmark; strokes: their votes; discs: voted landmarks, green for inliers of the pose and red
    for the others; white crosses, tied to the discs: the landmarks as the pose projects them. Runs the network again.
    """
    scale = _scale(image)
    picture = _enlarged(image.camera.undistort(image.rgb), scale)
    outputs = run_one(localizer.session, localizer.method.prepare(image, localizer.session.spec))
    _tint(picture, outputs["labels"])
    _draw_votes(picture, outputs["labels"], outputs["votes"])
    if isinstance(result, Rejection):
        voted = localizer.method.correspond(outputs, image, localizer.landmark_map, Stopwatch())
        _draw_landmarks(picture, voted, np.zeros(len(voted), dtype=np.bool_), scale)
    _draw_result(picture, image, result, scale)
    return picture


def draw_result(image: CameraImage, result: PoseEstimate | Rejection) -> Picture:
    """As `draw_overlay`, but only the landmarks of the pose, or why there is none: fast enough for a live view."""
    scale = _scale(image)
    picture = _enlarged(image.camera.undistort(image.rgb), scale)
    _draw_result(picture, image, result, scale)
    return picture


def write_picture(path: Path, picture: Picture) -> None:
    """Write RGB uint8 (H, W, 3) as the ending of `path` says (.png, .jpg). Raises ConfigError if that cannot be."""
    try:
        encoded, data = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise ConfigError(f"{path}: '{path.suffix}' is not a kind of picture that can be written; use .png") from error
    if not encoded:
        raise ConfigError(f"{path}: the picture cannot be encoded")
    write_bytes(path, data.tobytes())


def _scale(image: CameraImage) -> int:
    return max(1, math.ceil(MIN_WIDTH / image.camera.width))


def _draw_result(picture: Picture, image: CameraImage, result: PoseEstimate | Rejection, scale: int) -> None:
    if isinstance(result, PoseEstimate):
        _draw_landmarks(picture, result.correspondences, result.inliers, scale)
        _draw_reprojection(picture, image, result, scale)
    write_caption(picture, result)


def _enlarged(rgb: Picture, scale: int) -> Picture:
    height, width = rgb.shape[:2]
    return np.array(cv2.resize(rgb, (width * scale, height * scale), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def label_colours(labels: NDArray[np.int32]) -> Picture:
    """A bright colour per label, RGB (..., 3); neighbouring numbers get hues that are far apart."""
    colours: Picture = HUES[(labels * GOLDEN_RATIO % 1.0 * len(HUES)).astype(np.intp)]
    return colours


def _tint(picture: Picture, labels: NDArray[np.int32]) -> None:
    size = picture.shape[1], picture.shape[0]
    seen = cv2.resize((labels > 0).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)[..., np.newaxis]
    colours = cv2.resize(label_colours(labels), size, interpolation=cv2.INTER_NEAREST)
    picture[:] = np.where(seen, (1 - TINT) * picture + TINT * colours, picture * (1 - TINT)).astype(np.uint8)


def _draw_votes(picture: Picture, labels: NDArray[np.int32], votes: NDArray[np.float32]) -> None:
    """A stroke from every few cells towards the landmark that they vote for."""
    cell = picture.shape[1] / labels.shape[1]
    step = max(1, round(VOTE_SPACING / cell))
    rows, columns = np.nonzero(labels[step // 2 :: step, step // 2 :: step])
    rows, columns = rows * step + step // 2, columns * step + step // 2
    starts = (np.stack([columns, rows], axis=1) + 0.5) * cell - 0.5
    ends = starts + votes[rows, columns] * VOTE_LENGTH
    for start, end, colour in zip(starts, ends, label_colours(labels[rows, columns]), strict=True):
        _line(picture, start, end, tuple(colour.tolist()))


def _draw_landmarks(picture: Picture, voted: Correspondences, inliers: NDArray[np.bool_], scale: int) -> None:
    for pixel, sigma, inlier in zip(_scaled(voted.pixels, scale), voted.sigmas * scale, inliers, strict=True):
        colour = GREEN if inlier else RED
        centre, one = _fixed(pixel), 1 << SUBPIXEL_BITS
        radius = round(float(np.clip(sigma, 3, 12)) * one)
        cv2.circle(picture, centre, radius, colour, cv2.FILLED, cv2.LINE_AA, SUBPIXEL_BITS)
        cv2.circle(picture, centre, radius, BLACK, 1, cv2.LINE_AA, SUBPIXEL_BITS)


def _draw_reprojection(picture: Picture, image: CameraImage, estimate: PoseEstimate, scale: int) -> None:
    voted = estimate.correspondences[estimate.inliers]
    projected, _ = image.camera.undistorted().project(apply(invert(estimate.map_from_camera), voted.points))
    for pixel, target in zip(_scaled(voted.pixels, scale), _scaled(projected, scale), strict=True):
        _line(picture, pixel, target, WHITE)
        for arm in (np.array([4.0, 0.0]), np.array([0.0, 4.0])):
            _line(picture, target - arm, target + arm, WHITE)


def _scaled(pixels: NDArray[np.float64], scale: int) -> NDArray[np.float64]:
    return (pixels + 0.5) * scale - 0.5


def _fixed(point: NDArray[np.floating]) -> tuple[int, int]:
    """cv2's fixed-point coordinates; what is far outside the picture stays far outside and within 32 bits."""
    x, y = np.clip(point, -1e5, 1e5) * (1 << SUBPIXEL_BITS)
    return round(float(x)), round(float(y))


def _line(picture: Picture, start: NDArray[np.floating], end: NDArray[np.floating], colour: tuple[int, ...]) -> None:
    cv2.line(picture, _fixed(start), _fixed(end), colour, 1, cv2.LINE_AA, SUBPIXEL_BITS)
