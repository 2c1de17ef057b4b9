"""How much of an image has to have the colours of its place's surface: what mapping frames in ordinary trouble have."""

from collections.abc import Iterator

import numpy as np

from vloc_ros.core.arrays import evenly_spread
from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.core.query import View
from vloc_ros.datasets.types import Dataset
from vloc_ros.evaluation.corruptions import CORRUPTIONS, Severity, corrupted_frame
from vloc_ros.methods.surface_comparison import Guess, cells_of, expected_in, share_that_agrees
from vloc_ros.progress import Advance, no_advance

FRAMES = 60
QUANTILE = 0.01  # of mapping frames: what is below is a hand on the lens, or a pose that is wrong
MARGIN = 0.85  # times: of views that no frame had
ORDINARY = [each for each in CORRUPTIONS if each.severity is Severity.COMMON]


def least_agreement(surface: PlaceSurface, frames: Dataset, advance: Advance = no_advance) -> float:
    """What `PlaceSurface` says of that, from frames of its place: below what nearly all of them have at their poses,
    as they are and degraded. A place that changes, or whose poses are uncertain, gets a low one. 0 where no frame shows
    any of the surface."""
    indices = evenly_spread(len(frames), FRAMES)
    found: list[float] = []
    for done, index in enumerate(indices, start=1):
        found.extend(_agreements(surface, frames, int(index)))
        advance(done, len(indices))
    return MARGIN * float(np.quantile(found, QUANTILE)) if found else 0.0


def _agreements(surface: PlaceSurface, frames: Dataset, index: int) -> Iterator[float]:
    """Of one frame, with each ordinary corruption, where it shows enough of the surface."""
    frame = frames.frame(index)
    expected = expected_in(View(frame.image), Guess(surface, frame.map_from_camera))
    for corruption in ORDINARY:
        cells = cells_of(corrupted_frame(frame, corruption.degrade, index).image)
        if (share := share_that_agrees([(cells, expected)])) is not None:
            yield share
