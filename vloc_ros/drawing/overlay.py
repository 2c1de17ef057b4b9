"""Draws what a pose was made of: what cells show, correspondences, and where the pose puts their points."""

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.query import Query, View, as_query
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate, Rejection
from vloc_ros.core.visualization import Visualization
from vloc_ros.drawing.caption import GREEN, RED, WHITE, write_caption
from vloc_ros.errors import ConfigError
from vloc_ros.files import write_bytes
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.localizer import Localizer
from vloc_ros.methods.colors import position_colors

Picture = NDArray[np.uint8]

MIN_WIDTH = 960  # small images are enlarged, so that lines stay thin
TINT = 0.4
STROKE_SPACING, STROKE_LENGTH = 12.0, 9.0  # picture pixels
BLACK = (0, 0, 0)
MANY = 300  # correspondences
DOT = 2.5  # picture pixels, radius
SUBPIXEL_BITS = 4  # of cv2's drawing functions


def draw_overlay(localizer: Localizer, asked: Query | CameraImage, result: PoseEstimate | Rejection) -> Picture:
    """The undistorted image, RGB uint8 and at least MIN_WIDTH wide, with what `result` was made of drawn into it; of
    several views their images side by side.

    Tints, strokes and circles, in the landmarks' colours: what the method saw, its `Visualization`; discs:
    correspondences, green for inliers of the pose and red for the others; white crosses, tied to the discs: where the
    pose projects their points. Runs the networks again.
    """
    localizer = localizer.of_place(result.place)
    observation = localizer.observe(asked)
    views, pictures = observation.query.views, _pictures(observation.query)
    scale = _scale(views)
    for view, tensors, picture in zip(views, observation.tensors, pictures, strict=True):
        _draw_seen(picture, localizer.method.visualize(tensors, view.image, localizer.landmark_map), scale)
    if isinstance(result, Rejection):
        proposals = localizer.method.propose(observation, localizer.landmark_map, Stopwatch())
        found = Correspondences.joined(list(proposals))
        for number, picture in enumerate(pictures):
            seen = found[found.views == number]
            _draw_correspondences(picture, seen, np.zeros(len(seen), dtype=np.bool_), scale)
    return _with_result(pictures, views, result)


def draw_result(asked: Query | CameraImage, result: PoseEstimate | Rejection, landmark_map: LandmarkMap) -> Picture:
    """As `draw_overlay`, but only what the pose was made of, or why there is none: fast enough for a live view.

    More than MANY correspondences are scene coordinates: around each, a tint of the colour of its place in the map.
    """
    query = as_query(asked).in_pinhole_views()
    pictures = _pictures(query)
    if isinstance(result, PoseEstimate):
        within = landmark_map.of_place(result.place).positions
        for number, picture in enumerate(pictures):
            seen = result.correspondences[result.correspondences.views == number]
            if len(seen) > MANY:
                _tint_places(picture, seen, within, _scale(query.views))
    return _with_result(pictures, query.views, result)


def write_picture(path: Path, picture: Picture) -> None:
    """Write RGB uint8 (H, W, 3) as the ending of `path` says (.png, .jpg). Raises ConfigError if that cannot be."""
    try:
        encoded, data = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise ConfigError(f"{path}: '{path.suffix}' is not a kind of picture that can be written; use .png") from error
    if not encoded:
        raise ConfigError(f"{path}: the picture cannot be encoded")
    write_bytes(path, data.tobytes())


def _scale(views: Sequence[View]) -> int:
    return max(1, math.ceil(MIN_WIDTH / sum(view.image.camera.width for view in views)))


def _pictures(query: Query) -> list[Picture]:
    """The views' undistorted images, enlarged."""
    scale = _scale(query.views)
    return [_enlarged(view.image.camera.undistort(view.image.rgb), scale) for view in query.views]


def _with_result(pictures: list[Picture], views: Sequence[View], result: PoseEstimate | Rejection) -> Picture:
    """The pictures side by side, with what a pose was made of, and what there is to say."""
    if isinstance(result, PoseEstimate):
        for number, (picture, view) in enumerate(zip(pictures, views, strict=True)):
            own = result.correspondences.views == number
            seen, inliers = result.correspondences[own], result.inliers[own]
            camera_from_map = invert(view.rig_camera.map_from_camera(result.map_from_camera))
            _draw_correspondences(picture, seen, inliers, _scale(views))
            _draw_reprojection(picture, view.image.camera, seen[inliers], camera_from_map, _scale(views))
    picture = side_by_side(pictures)
    write_caption(picture, result)
    return picture


def side_by_side(pictures: Sequence[Picture]) -> Picture:
    """Pictures (H, W, 3) of any heights, black below the lower ones."""
    height = max(len(picture) for picture in pictures)
    filled = [np.pad(picture, ((0, height - len(picture)), (0, 0), (0, 0))) for picture in pictures]
    return np.concatenate(filled, axis=1) if len(filled) > 1 else pictures[0]


def _enlarged(rgb: Picture, scale: int) -> Picture:
    height, width = rgb.shape[:2]
    return np.array(cv2.resize(rgb, (width * scale, height * scale), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _tint(picture: Picture, colors: Picture) -> None:
    """Colours (h, w, 3) over the picture, which is darkened where they are black."""
    size = picture.shape[1], picture.shape[0]
    tint = cv2.resize(colors, size, interpolation=cv2.INTER_NEAREST)
    picture[:] = ((1 - TINT) * picture + TINT * tint).astype(np.uint8)


def _draw_seen(picture: Picture, seen: Visualization, scale: int) -> None:
    if seen.colors is not None:
        _tint(picture, seen.colors)
        if seen.directions is not None:
            _draw_directions(picture, seen.colors, seen.directions)
    radius = round(2 * DOT * (1 << SUBPIXEL_BITS))
    colors = np.full((len(seen.key_points), 3), 255) if seen.key_point_colors is None else seen.key_point_colors
    for pixel, color in zip(_scaled(seen.key_points, scale), colors.tolist(), strict=True):
        width = 2 if any(color) and seen.key_point_colors is not None else 1
        cv2.circle(picture, _fixed(pixel), radius, color, width, cv2.LINE_AA, SUBPIXEL_BITS)


def _draw_directions(picture: Picture, colors: Picture, directions: NDArray[np.float32]) -> None:
    """A stroke from every few cells to where they point."""
    cell = picture.shape[1] / colors.shape[1]
    step = max(1, round(STROKE_SPACING / cell))
    rows, columns = np.nonzero(colors[step // 2 :: step, step // 2 :: step].any(axis=-1))
    rows, columns = rows * step + step // 2, columns * step + step // 2
    starts = (np.stack([columns, rows], axis=1) + 0.5) * cell - 0.5
    ends = starts + directions[rows, columns] * STROKE_LENGTH
    for start, end, colour in zip(starts, ends, colors[rows, columns], strict=True):
        _line(picture, start, end, tuple(colour.tolist()))


def _tint_places(picture: Picture, found: Correspondences, within: NDArray[np.float64], scale: int) -> None:
    """Squares that just do not overlap where correspondences lie on a full grid, coloured by where their points are."""
    reach = max(1, round(math.sqrt(picture.shape[0] * picture.shape[1] / len(found)) / 2))
    tint = np.zeros_like(picture)
    for pixel, color in zip(_scaled(found.pixels, scale), position_colors(found.points, within), strict=True):
        x, y = np.rint(pixel).astype(int)
        tint[max(0, y - reach) : max(0, y + reach), max(0, x - reach) : max(0, x + reach)] = color
    _tint(picture, tint)


def _draw_correspondences(picture: Picture, found: Correspondences, inliers: NDArray[np.bool_], scale: int) -> None:
    """A disc of the size of its sigma each; dots where there are many."""
    many = len(found) > MANY
    for pixel, sigma, inlier in zip(_scaled(found.pixels, scale), found.sigmas * scale, inliers, strict=True):
        colour = GREEN if inlier else RED
        centre, one = _fixed(pixel), 1 << SUBPIXEL_BITS
        radius = round((DOT if many else float(np.clip(sigma, 3, 12))) * one)
        cv2.circle(picture, centre, radius, colour, cv2.FILLED, cv2.LINE_AA, SUBPIXEL_BITS)
        if not many:
            cv2.circle(picture, centre, radius, BLACK, 1, cv2.LINE_AA, SUBPIXEL_BITS)


def _draw_reprojection(
    picture: Picture, camera: Camera, voted: Correspondences, camera_from_map: NDArray[np.float64], scale: int
) -> None:
    if len(voted) > MANY:  # crosses would hide everything
        return
    projected, _ = camera.undistorted().project(apply(camera_from_map, voted.points))
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
