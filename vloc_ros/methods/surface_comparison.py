"""Which of places that look alike an image shows: the one whose surface has the image's colours, where the colours of
the two differ.

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
from vloc_ros.core.types import Float

COLUMNS = 80  # of cells, of an image: 4 pixels wide where it is 320 wide
DIFFERENT = 20.0  # of 255, from which on two colours are two
FAR = 80.0  # of 255: what is farther off is something that neither place has, and is off by 1
DARK = 5.0  # of 255: ratios of what is darker say nothing
FEW = 20  # cells of a view: too few to know the light of

Cells = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Guess:
    """The surface of a place, and where the rig is if it is there: `map_from_rig` (4, 4)."""

    surface: PlaceSurface
    map_from_rig: Float


@dataclass(frozen=True, eq=False)
class _Shown:
    """A view in cells: what it shows (H, W, 3), and of each guess what is expected there, and where that is known
    (H, W)."""

    cells: Cells
    expected: Sequence[tuple[Cells, NDArray[np.bool_]]]


def told_apart(views: Sequence[View], guesses: Sequence[Guess | None]) -> Float:
    """By how much (G, G) the views speak for one guess, the row, against another, the column: sum over the cells in
    which the two expect different colours of how far the other one is off, less how far the one is, each 0 to 1 and
    squared. NaN where that is not known: of one that is None, and where hardly any cell shows both.

    Before that, view and guesses are brought into one light: exposure, white balance, and the light in which a place
    was mapped, are one factor for each channel. A grey view is compared in grey.
    """
    scores = np.full((len(guesses), len(guesses)), np.nan)
    known = [row for row, guess in enumerate(guesses) if guess is not None]
    if len(known) < 2:
        return scores
    shown = [_shown(view, [guess for guess in guesses if guess is not None]) for view in views]
    for (i, row), (j, column) in combinations(enumerate(known), 2):
        parts = [_for_first(each.cells, *each.expected[i], *each.expected[j]) for each in shown]
        if compared := [part for part in parts if part is not None]:
            scores[row, column] = sum(compared)
            scores[column, row] = -scores[row, column]
    return scores


def _shown(view: View, guesses: Sequence[Guess]) -> _Shown:
    image, rig_camera = view.image, view.rig_camera
    size = COLUMNS, max(1, round(COLUMNS * image.camera.height / image.camera.width))
    cells = cv2.resize(image.camera.undistort(image.rgb), size, interpolation=cv2.INTER_AREA)
    grey, expected = is_grey(image.rgb), []
    for guess in guesses:
        pose = rig_camera.map_from_camera(guess.map_from_rig)
        colors, counts = guess.surface.seen(rig_camera.camera.resized(*size), pose)
        expected.append((_grey(colors) if grey else colors, counts > 0))
    return _Shown(cells.astype(np.float32), expected)


def _grey(colors: Cells) -> Cells:
    """The same in all three channels, weighted as cameras do."""
    return np.repeat(colors @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=-1)


def _for_first(
    cells: Cells, first: Cells, of_first: NDArray[np.bool_], second: Cells, of_second: NDArray[np.bool_]
) -> float | None:
    """`told_apart` of two guesses in one view; None where they cannot be compared."""
    both = of_first & of_second
    if both.sum() < FEW:
        return None
    shown, one, other = in_one_light(cells[both], first[both], second[both])
    differs = np.abs(one - other).max(axis=1) > DIFFERENT
    off = [np.minimum(np.abs(each - shown)[differs].max(axis=1) / FAR, 1) for each in (one, other)]
    return float((off[1] ** 2).sum() - (off[0] ** 2).sum())


def in_one_light(shown: Cells, first: Cells, second: Cells) -> tuple[Cells, Cells, Cells]:
    """Three sets of colours (N, 3) as in the light of the latter two, or between where these are in two: what is shown
    has its exposure and white balance, which are the median of the ratios to the others, in each channel."""
    gains = [np.median((shown + DARK) / (each + DARK), axis=0) for each in (first, second)]
    middle = np.sqrt(gains[0] * gains[1])
    lit = [np.minimum(gain * each, 255) / middle for gain, each in zip(gains, (first, second), strict=True)]
    return shown / middle, lit[0], lit[1]
