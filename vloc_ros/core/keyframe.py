"""An image that the networks localized: its points are followed into later images, which needs no network.

By optical flow in pyramids (Lucas and Kanade, 1981; Bouguet, 2000), always from the keyframe itself: so errors do not
add up from image to image. Flow takes brightness for constant, and a camera's exposure is not: the later image is made
as bright as the keyframe first. A point counts where the later image looks as the keyframe does around it.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.query import Query, View
from vloc_ros.core.types import Float, PoseEstimate
from vloc_ros.geometry.transforms import apply, invert

POINTS, CELL_PX = 300, 40  # so many are followed, of parts of this size; more make no pose better
WIDTH_PX = 640  # larger images are made so wide
WINDOW_PX, LEVELS = 15, 2  # of the flow: half a window at the highest level is 28 pixels
STEPS = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 15, 0.03)
COARSE_PX = 32  # of squares whose mean grey value is their brightness
REACH_PX = 5  # from the middle of a patch that is compared to its border
# The least correlation of two patches. Of right poses some 95 % of the points have more, of other views some 5 %; where
# a point comes to lie if it is followed back tells less, for 20 to 40 % of the points come back from other views, too.
MIN_CORRELATION = 0.8
MIN_CONTRAST = 5.0  # grey levels: there is nothing to be followed on a blank wall
MIN_SHARE = 0.55  # of a keyframe's points: with fewer, the view has changed so much that flow costs accuracy

Float32 = NDArray[np.float32]
Grey = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class _Template:
    """The keyframe's points in one view: `rows` (N,) of them, the `pixels` (N, 2) of its `grey` image that show them,
    the `patches` (N, P) around these, and their brightness, `coarse` and
    `fine` (N,)."""

    rows: NDArray[np.intp]
    grey: Grey
    pixels: Float32
    patches: Float32
    coarse: Float32
    fine: Float32


@dataclass(frozen=True, eq=False)
class Keyframe:
    """`query`, in pinhole views, and the `estimate` of its pose in the frame of its place."""

    query: Query
    estimate: PoseEstimate

    @cached_property
    def points(self) -> Correspondences:
        """Those that are followed: POINTS of the inliers of its pose that have something around them to be known by,
        all over its images."""
        inliers = self.estimate.correspondences[self.estimate.inliers]
        has_contrast = np.zeros(len(inliers), dtype=np.bool_)
        for index, (grey, scale) in enumerate(self._greys):
            rows = np.flatnonzero(inliers.views == index)
            has_contrast[rows] = _contrasts(grey, _scaled(inliers.pixels[rows], scale)) >= MIN_CONTRAST
        known = inliers[has_contrast]
        return known[_all_over(known, POINTS)]

    @cached_property
    def _greys(self) -> list[tuple[Grey, float]]:
        return [_grey(view) for view in self.query.views]

    def prepare(self) -> None:
        """Do now what `followed` would otherwise do the first time."""
        if len(self.points):
            _ = self._templates, self._projections

    def followed(self, query: Query, map_from_rig: Float) -> Correspondences:
        """Its points in the views of a later query; none where the cameras are others. `map_from_rig` (4, 4): about
        where that is, in the frame of the keyframe's place; what is seen farther than some 30 pixels from where this
        pose has it is not found."""
        cameras = [view.image.camera for view in query.views]
        if cameras != [view.image.camera for view in self.query.views]:
            return Correspondences.empty()
        parts = zip(self._templates, self._expected(query, map_from_rig), query.views, strict=True)
        return Correspondences.joined([self._in_view(*part) for part in parts])

    @cached_property
    def _templates(self) -> list[_Template]:
        found = []
        for index, (grey, scale) in enumerate(self._greys):
            rows = np.flatnonzero(self.points.views == index)
            pixels = _scaled(self.points.pixels[rows], scale)
            brightness = _coarse_brightness(grey, pixels), _fine_brightness(grey, pixels)
            found.append(_Template(rows, grey, pixels, _patches(grey, pixels), *brightness))
        return found

    def _expected(self, query: Query, map_from_rig: Float) -> list[Float]:
        """Where each view of a query should show the points (N, 2): as far from where its pose has them as in the
        keyframe. NaN behind the camera."""
        now = _projected(query, map_from_rig, self.points)
        return [self.points.pixels + new - old for new, old in zip(now, self._projections, strict=True)]

    @cached_property
    def _projections(self) -> list[Float]:
        """Where the keyframe's own pose has its points."""
        return _projected(self.query, self.estimate.map_from_camera, self.points)

    def _in_view(self, template: _Template, expected: Float, view: View) -> Correspondences:
        grey, scale = _grey(view)
        guess = _scaled(expected[template.rows], scale)
        inside = np.flatnonzero(((guess >= 0) & (guess < (grey.shape[1], grey.shape[0]))).all(axis=1))
        if not len(inside):
            return Correspondences.empty()
        before, guess = template.pixels[inside], guess[inside]
        bright = _brightened(grey, template.coarse[inside], _coarse_brightness(grey, guess))
        pixels, is_found = _flow(template.grey, bright, before, guess, LEVELS)
        # One percent of brightness moves a point by a sixth of a pixel. By now it is known where to compare that.
        bright = _brightened(grey, template.fine[inside], _fine_brightness(grey, pixels))
        pixels, is_near = _flow(template.grey, bright, before, pixels, 0)
        correlations = (template.patches[inside] * _patches(grey, pixels)).sum(axis=1)
        kept = is_found & is_near & (correlations >= MIN_CORRELATION)
        moved = (pixels[kept].astype(np.float64) + 0.5) / scale - 0.5
        return replace(self.points[template.rows[inside[kept]]], pixels=moved)


def _all_over(found: Correspondences, count: int) -> NDArray[np.intp]:
    """At most `count` rows: the most certain ones of each part of an image, then the second ones, and so on."""
    cells = np.column_stack([found.views, (found.pixels // CELL_PX).astype(np.intp)])
    _, cell = np.unique(cells, axis=0, return_inverse=True)
    by_cell = np.lexsort((found.sigmas, cell.ravel()))
    starts = np.searchsorted(cell.ravel()[by_cell], np.arange(cell.max(initial=-1) + 1))
    ranks = np.empty(len(found), dtype=np.intp)
    ranks[by_cell] = np.arange(len(found)) - starts[cell.ravel()[by_cell]]
    return np.sort(np.lexsort((found.sigmas, ranks))[:count])


def _projected(query: Query, map_from_rig: Float, points: Correspondences) -> list[Float]:
    """Pixels (N, 2) in each view."""
    poses = [each.map_from_camera(map_from_rig) for each in query.cameras]
    return [
        each.camera.project(apply(invert(pose), points.points))[0]
        for each, pose in zip(query.cameras, poses, strict=True)
    ]


def _grey(view: View) -> tuple[Grey, float]:
    """The undistorted image in grey, at most WIDTH_PX wide, and how many of its pixels are one of the image."""
    camera = view.image.camera
    grey = camera.undistort(np.asarray(cv2.cvtColor(view.image.rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8))
    if camera.width <= WIDTH_PX:
        return grey, 1.0
    scale = WIDTH_PX / camera.width
    size = WIDTH_PX, max(1, round(scale * camera.height))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.uint8), scale


def _scaled(pixels: Float, scale: float) -> Float32:
    return ((pixels + 0.5) * scale - 0.5).astype(np.float32)


def _flow(before: Grey, after: Grey, pixels: Float32, guess: Float32, levels: int) -> tuple[Float32, NDArray[np.bool_]]:
    """Where pixels (N, 2) of an image have gone, near a guess (N, 2), and whether they were found (N,), in so many
    levels above the image itself."""
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        before, after, pixels, guess.copy(), winSize=(WINDOW_PX, WINDOW_PX), maxLevel=levels, criteria=STEPS,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )  # fmt: skip
    return np.asarray(found, dtype=np.float32), np.asarray(status[:, 0] > 0)


def _brightened(grey: Grey, before: Float32, now: Float32) -> Grey:
    """An image as bright as another one, by the brightness of what both show (N,)."""
    return np.asarray(cv2.convertScaleAbs(grey, alpha=float(np.median(before / now))), dtype=np.uint8)


def _coarse_brightness(grey: Grey, pixels: Float32) -> Float32:
    """The mean grey value (N,), 1 or more, of the squares of COARSE_PX that pixels (N, 2) are in."""
    size = max(1, grey.shape[1] // COARSE_PX), max(1, grey.shape[0] // COARSE_PX)
    coarse = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    column, row = (pixels / (grey.shape[1], grey.shape[0]) * size).astype(np.intp).clip(0, np.subtract(size, 1)).T
    return np.asarray(coarse[row, column].clip(min=1), dtype=np.float32)


def _fine_brightness(grey: Grey, pixels: Float32) -> Float32:
    """The mean grey value (N,), 1 or more, around pixels (N, 2)."""
    return np.asarray(_around(grey, pixels).mean(axis=1).clip(min=1), dtype=np.float32)


def _patches(grey: Grey, pixels: Float32) -> Float32:
    """What an image shows around pixels (N, 2), (N, P): of mean 0 and length 1, so that products are correlations."""
    patches = _around(grey, pixels)
    patches -= patches.mean(axis=1, keepdims=True)
    return np.asarray(patches / np.maximum(np.linalg.norm(patches, axis=1, keepdims=True), 1e-3), dtype=np.float32)


def _contrasts(grey: Grey, pixels: Float32) -> Float32:
    """Standard deviation (N,) of the grey values around pixels (N, 2)."""
    return np.asarray(_around(grey, pixels).std(axis=1), dtype=np.float32)


def _around(grey: Grey, pixels: Float32) -> Float32:
    """Grey values (N, P) around pixels (N, 2)."""
    reach = np.arange(-REACH_PX, REACH_PX + 1, dtype=np.float32)
    x, y = (grid.ravel() for grid in np.meshgrid(reach, reach))
    if not len(pixels):  # of a covered camera, say, which OpenCV refuses
        return np.empty((0, len(x)), dtype=np.float32)
    maps: tuple[Any, Any] = (pixels[:, :1] + x, pixels[:, 1:] + y)
    return np.asarray(cv2.remap(grey, *maps, cv2.INTER_LINEAR), dtype=np.float32)
