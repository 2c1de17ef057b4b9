"""Which of two places that look alike an image shows: the one whose surface has the image's colours, where the colours
of the two differ.

Points are few, and where a map has none, an image can show what it likes. Surfaces are everywhere: a poster that hangs
in one of two rooms alone is some hundred voxels of another colour, even where just its edge is in view.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.grey import is_grey
from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.core.query import View
from vloc_ros.core.types import Float

CELLS = 80  # along an image's width: cells of 4 pixels of an image of 320
DIFFERENT = 20.0  # of 255, from which on two colours are two
CAP = 80.0  # of 255: what is farther off is something that neither place has
DARK = 5.0  # of 255: ratios of what is darker say nothing
FEW = 20  # cells say nothing of the light

Colors = NDArray[np.float32]


@dataclass(frozen=True)
class Guess:
    """A place's surface, and where the rig is if it is there: `map_from_rig` (4, 4)."""

    surface: PlaceSurface
    map_from_rig: Float


@dataclass(frozen=True)
class Comparison:
    """Of two guesses: in how many `cells` of the image they expect different colours, and by how much more the second
    is off there than the first: sum of the squares of differences, each at most 1."""

    cells: int
    second_more: float


def compared(views: Sequence[View], first: Guess, second: Guess) -> Comparison:
    """The two in all views together."""
    parts = [_compared(*shown) for view in views if (shown := _shown(view, first, second)) is not None]
    return Comparison(sum(part.cells for part in parts), sum(part.second_more for part in parts))


def _shown(view: View, first: Guess, second: Guess) -> tuple[Colors, Colors, Colors] | None:
    """The colours (N, 3) of the view's cells that both surfaces are seen in, and of the two there; None where there are
    none. Of a grey image all are grey."""
    image = view.image
    height = max(1, round(CELLS * image.camera.height / image.camera.width))
    small = cv2.resize(image.camera.undistort(image.rgb), (CELLS, height), interpolation=cv2.INTER_AREA)
    camera = view.rig_camera.camera.resized(CELLS, height)
    drawn = [each.surface.seen(camera, view.rig_camera.map_from_camera(each.map_from_rig)) for each in (first, second)]
    both = (drawn[0][1] > 0) & (drawn[1][1] > 0)
    if both.sum() < FEW:
        return None
    shown, one, other = (colors[both].astype(np.float32) for colors in (small, drawn[0][0], drawn[1][0]))
    if is_grey(image.rgb):
        return tuple(colors.mean(axis=1, keepdims=True) for colors in (shown, one, other))
    return shown, one, other


def _compared(shown: Colors, first: Colors, second: Colors) -> Comparison:
    first, second = lit_as(first, shown), lit_as(second, shown)
    different = np.abs(first - second).max(axis=1) > DIFFERENT
    off = [np.minimum(np.abs(each - shown)[different].max(axis=1) / CAP, 1) for each in (first, second)]
    return Comparison(int(different.sum()), float((off[1] ** 2).sum() - (off[0] ** 2).sum()))


def lit_as(colors: Colors, shown: Colors) -> Colors:
    """Colours (N, 3) in the light of those that are shown: exposure and white balance are the median of the ratios."""
    gains = np.median((shown + DARK) / (colors + DARK), axis=0)
    return np.minimum(gains * colors, 255)
