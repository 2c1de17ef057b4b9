"""Whether an image shows a place: whether the surface of the place has the image's colours; and which of places that
look alike it shows: the one whose surface has them where the colours of the two differ.

A map has points where mapping found corners, and some hundreds of them are in view. Surfaces are everywhere: a poster
that hangs in one of two rooms alone is some hundred voxels of another colour, even where just its edge is in view.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.grey import is_grey
from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.core.query import View
from vloc_ros.core.types import CameraImage, Float
from vloc_ros.geometry.camera import Camera

COLUMNS = 80  # of cells, of an image: 4 pixels wide where it is 320 wide
DIFFERENT = 20.0  # of 255, from which on two colours are two
FAR = 80.0  # of 255: what is farther off is something that neither place has, and is off by 1
DARK = 0.5  # of 255: what is as dark is black, of which there is no ratio
FEW = 20  # cells of a view: too few to know the light of
ENOUGH = 60  # cells of all views, of which the part that agrees is known to some 5 %
AGREES = 0.2  # of a surface's brightness, in each channel: textures and edges make coarse cells differ by as much
BLACK = 1.0  # of 255: beside the image, where it is undistorted, or behind a cap
LAMP = 1.5  # by how much brighter or darker than all of a view a quarter of it may be, in each channel
FAINT = 0.05  # of the contrast: what has less shows nothing
VEILED = 0.7  # of the contrast, below which there is something bright all over a view: fog on the lens, or glare
CLIPPED = 250.0  # of 255, from which on a channel does not say how bright it is

Cells = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Guess:
    """The surface of a place, and where the rig is if it is there: `map_from_rig` (4, 4)."""

    surface: PlaceSurface
    map_from_rig: Float


@dataclass(frozen=True, eq=False)
class Expected:
    """What the cells of a view show if a guess is right (H, W, 3), in the light in which its place was mapped, where
    that is known (H, W), and how bright that light was."""

    colors: Cells
    known: NDArray[np.bool_]
    brightness: float


def agreement(views: Sequence[View], guess: Guess, weights: Sequence[float] | Float | None = None) -> float | None:
    """The part of the views' cells, of those that show some of the guess's surface, that have its colours, 0 to 1: of
    the right pose most, though what was moved or stands before the camera has others. None where it shows in hardly any
    cell. Each view's light is allowed for as in `told_apart`, so that in the dark, too, colours have to be alike for
    what they are like in the light; and so are lamps and windows, which light a quarter of the view otherwise, and what
    lies over all of the view like a veil. `weights`: by which the cells of each view count, 0 for not at all; all alike
    where they are not given."""
    given = np.ones(len(views)) if weights is None else weights
    counted = [(view, weight) for view, weight in zip(views, given, strict=True) if weight]
    seen = [(cells_of(view.image), expected_in(view, guess)) for view, _ in counted]
    return share_that_agrees(seen, [weight for _, weight in counted])


def share_that_agrees(views: Sequence[tuple[Cells, Expected]], weights: Sequence[float] = (1.0,)) -> float | None:
    """`agreement` of what views show and of what is expected; one weight for each."""
    agrees = [_agrees(*view) for view in views]
    if sum(map(len, agrees)) < ENOUGH:
        return None
    cells = np.repeat(weights, [len(each) for each in agrees])
    return float(np.average(np.concatenate(agrees), weights=cells))


def _agrees(cells: Cells, expected: Expected) -> NDArray[np.bool_]:
    """Whether each cell of a view that counts (N,) has the colour that is expected. Those do not count that are black
    or clipped, because their light is not known; nor any where they are too few."""
    largest = _largest(cells)
    counts = expected.known & (largest >= BLACK) & (largest < CLIPPED)
    if counts.sum() < FEW:
        return np.zeros(0, dtype=bool)
    shown, colors = cells[counts], expected.colors[counts]
    gain, tolerance = _gain(shown, colors), AGREES * expected.brightness
    if (left := _contrast(shown, colors, gain, tolerance)) < VEILED:
        gain = left * gain
        veil = np.median(shown, axis=0) - gain * np.median(colors, axis=0)
        return _off((shown - veil).astype(np.float32), colors, gain) < tolerance
    off = _off(shown, colors, gain)
    for quarter in _quarters(counts):
        if quarter.sum() >= ENOUGH:
            lit = np.clip(_gain(shown[quarter], colors[quarter]), gain / LAMP, gain * LAMP)
            off[quarter] = np.minimum(off[quarter], _off(shown[quarter], colors[quarter], lit))
    return off < tolerance


def _off(shown: Cells, colors: Cells, gain: Cells) -> Cells:
    """By how much the largest channel of what is shown (N, 3) differs from colours in this light, at their exposure."""
    off: Cells = _largest(np.abs(np.minimum(gain * colors, 255) - shown)) / _exposure(gain)
    return off


def _contrast(shown: Cells, colors: Cells, gain: Cells, hardly_any: float) -> float:
    """Which part is left, in what is shown (N, 3), of the contrast of colours in this light, FAINT or more; 1 where
    these have `hardly_any`, as a wall."""
    lit = np.minimum(gain * colors, 255)
    (least, most), (low, high) = (np.quantile(each.mean(axis=1), (0.1, 0.9)) for each in (lit, shown))
    if most - least < hardly_any * _exposure(gain):
        return 1.0
    return max(FAINT, float((high - low) / (most - least)))


def _exposure(gain: Cells) -> float:
    """Of all channels together."""
    return float(np.exp(np.log(gain).mean()))


def _quarters(counts: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Which of the cells that count are in each quarter of a view (H, W)."""
    rows, columns = np.nonzero(counts)
    below, right = 2 * rows >= counts.shape[0], 2 * columns >= counts.shape[1]
    return [(below == down) & (right == across) for down in (False, True) for across in (False, True)]


def told_apart(views: Sequence[View], guesses: Sequence[Guess | None]) -> Float:
    """By how much (G, G) the views speak for one guess, the row, against another, the column: sum over the cells in
    which the two expect different colours of how far the other one is off, less how far the one is, each 0 to 1 and
    squared. NaN where that is not known: of one that is None, and where hardly any cell shows both.

    Before that, view and guesses are brought into one light: exposure, white balance, and the light in which a place
    was mapped, are one factor for each channel. A grey view is compared in grey.
    """
    scores = np.full((len(guesses), len(guesses)), np.nan)
    if sum(guess is not None for guess in guesses) < 2:
        return scores
    shown = [cells_of(view.image) for view in views]
    expected = {row: [expected_in(view, guess) for view in views] for row, guess in enumerate(guesses) if guess}
    for row, column in combinations(expected, 2):
        parts = [_for_first(*each) for each in zip(shown, expected[row], expected[column], strict=True)]
        if compared := [part for part in parts if part is not None]:
            scores[row, column] = sum(compared)
            scores[column, row] = -scores[row, column]
    return scores


def cells_of(image: CameraImage) -> Cells:
    """What an image shows (H, W, 3), coarsely: the means of its pixels, undistorted."""
    rgb = image.camera.undistort(image.rgb)
    return cv2.resize(rgb, _size(image.camera), interpolation=cv2.INTER_AREA).astype(np.float32)


def expected_in(view: View, guess: Guess) -> Expected:
    """What a view's cells show if the guess is right, of a grey one in grey."""
    rig_camera = view.rig_camera
    pose = rig_camera.map_from_camera(guess.map_from_rig)
    colors, counts = guess.surface.seen(rig_camera.camera.resized(*_size(rig_camera.camera)), pose)
    return Expected(_grey(colors) if is_grey(view.image.rgb) else colors, counts > 0, guess.surface.brightness)


def _size(camera: Camera) -> tuple[int, int]:
    """Columns and rows of cells."""
    return COLUMNS, max(1, round(COLUMNS * camera.height / camera.width))


def _grey(colors: Cells) -> Cells:
    """The same in all three channels, weighted as cameras do."""
    return np.repeat(colors @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=-1)


def _for_first(cells: Cells, first: Expected, second: Expected) -> float | None:
    """`told_apart` of two guesses in one view; None where they cannot be compared."""
    both = first.known & second.known & (_largest(cells) >= BLACK)
    if both.sum() < FEW:
        return None
    shown, one, other = in_one_light(cells[both], first.colors[both], second.colors[both])
    differs = _largest(np.abs(one - other)) > DIFFERENT
    off = [np.minimum(_largest(np.abs(each - shown)[differs]) / FAR, 1) for each in (one, other)]
    return float((off[1] ** 2).sum() - (off[0] ** 2).sum())


def in_one_light(shown: Cells, first: Cells, second: Cells) -> tuple[Cells, Cells, Cells]:
    """Three sets of colours (N, 3) as in the light of the latter two, or between where these are in two: what is shown
    has its exposure and white balance, which are the median of the ratios to the others, in each channel."""
    gains = [_gain(shown, each) for each in (first, second)]
    middle = np.sqrt(gains[0] * gains[1])
    lit = [np.minimum(gain * each, 255) / middle for gain, each in zip(gains, (first, second), strict=True)]
    return shown / middle, lit[0], lit[1]


def _largest(colors: Cells) -> Cells:
    """Of the channels of colours (..., 3): as `max`, which takes much longer along so short an axis."""
    found: Cells = np.maximum(np.maximum(colors[..., 0], colors[..., 1]), colors[..., 2])
    return found


def _gain(shown: Cells, expected: Cells) -> Cells:
    """By how much brighter the one is than the other, of colours (N, 3), in each channel (3,)."""
    gain: Cells = np.median((shown + DARK) / (expected + DARK), axis=0)
    return gain
