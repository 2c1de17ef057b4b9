"""The offset between the clocks of images and poses: how the image turns against how the poses turn.

A camera that turns moves its image's middle, whatever it sees; a camera that moves hardly does. So the mean motion of
the middle of the image, from one image to the next, says how fast the camera turns, and when.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.stamps import NS_PER_S

Float = NDArray[np.float64]
Stamps = NDArray[np.int64]
PosesAt = Callable[[Stamps], tuple[Float, NDArray[np.bool_]]]

WIDTH = 320  # of the images that are followed
CORNERS, MIN_FOLLOWED = 150, 15
MIDDLE = 0.35  # tangent of the angle from the axis, within which the image is looked at
FARTHEST_S, STEP_S = 1.0, 0.01
LEAST_PAIRS = 40
SPAN_S = 0.4
AS_GOOD = 4.0  # in log likelihood: offsets that fit so little worse than the best one are as good for all we know
LEAST_CORRELATION, LEAST_TURN_DEG = 0.7, 2.0  # of an offset that is believed; standard deviation of a second's turn


@dataclass(frozen=True)
class TimeOffset:
    """The poses' clock minus the images' that fits best, and how well: the correlation of both turns, 0 to 1. `least`
    and `most` (seconds) of the offsets that fit as well as the images can tell."""

    seconds: float
    correlation: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.seconds:+.3f} s ({self.least:+.2f} to {self.most:+.2f} s, correlation {self.correlation:.2f})"


class ImageTurns:
    """Follows the middle of the images of one camera, which are added in the order of their stamps."""

    def __init__(self) -> None:
        self._before: tuple[int, NDArray[np.uint8]] | None = None
        self._pairs: list[tuple[int, int]] = []
        self._turns: list[Float] = []

    def __len__(self) -> int:
        """Of the pairs of images that could be followed."""
        return len(self._pairs)

    def add(self, stamp_ns: int, rgb: NDArray[np.uint8], camera: Camera) -> None:
        if self._before is not None and stamp_ns <= self._before[0]:
            return
        size = WIDTH, max(1, round(WIDTH * camera.height / camera.width))
        small = camera.undistorted().resized(*size)
        grey = np.asarray(
            cv2.cvtColor(cv2.resize(camera.undistort(rgb), size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY),
            dtype=np.uint8,
        )
        if self._before is not None and (turn := _turn(self._before[1], grey, small)) is not None:
            self._pairs.append((self._before[0], stamp_ns))
            self._turns.append(turn)
        self._before = stamp_ns, grey

    def offset(self, poses_at: PosesAt) -> TimeOffset | None:
        """The poses' clock minus the images', within FARTHEST_S; None where the images do not tell."""
        if len(self) < LEAST_PAIRS:
            return None
        pairs, turns = _joined(np.array(self._pairs, dtype=np.int64), np.stack(self._turns))
        if len(pairs) < LEAST_PAIRS:
            return None
        seen = turns / ((pairs[:, 1] - pairs[:, 0]) / NS_PER_S)[:, None]
        if np.degrees(seen.std(axis=0)).max() < LEAST_TURN_DEG:
            return None
        offsets = np.arange(-FARTHEST_S, FARTHEST_S + STEP_S / 2, STEP_S)
        fits = np.array([_correlation(seen, *_rates(pairs + round(s * NS_PER_S), poses_at)) for s in offsets])
        best = int(np.argmax(fits))
        if not fits[best] >= LEAST_CORRELATION or best in (0, len(fits) - 1):
            return None
        before, at, after = fits[best - 1 : best + 2]
        bend = before - 2 * at + after
        seconds = float(offsets[best] + (STEP_S / 2 * (before - after) / bend if bend < 0 else 0.0))
        good = offsets[_independent(pairs) * np.log((1 - fits**2) / max(1 - at**2, 1e-9)) < AS_GOOD]
        return TimeOffset(seconds, float(at), float(good.min()), float(good.max()))


def _joined(pairs: Stamps, turns: Float) -> tuple[Stamps, Float]:
    """Pairs (N, 2) and turns (N, 2) over SPAN_S at least, each of pairs that follow one another: what poses say between
    two of them is a straight line, which a longer time makes matter less."""
    ends = np.searchsorted(pairs[:, 1], pairs[:, 0] + round(SPAN_S * NS_PER_S))
    sums = np.concatenate([np.zeros((1, 2)), np.cumsum(turns, axis=0)])
    breaks = np.concatenate([[0], np.cumsum(pairs[1:, 0] != pairs[:-1, 1])])
    whole = [(i, end) for i, end in enumerate(ends) if end < len(pairs) and breaks[i] == breaks[end]]
    starts, ends = np.array(whole, dtype=np.intp).reshape(-1, 2).T
    return np.stack([pairs[starts, 0], pairs[ends, 1]], axis=1), sums[ends + 1] - sums[starts]


def _independent(pairs: Stamps) -> float:
    """How many spans pairs (N, 2), which overlap, cover: a camera that turns steadily fits many offsets."""
    steps = np.minimum(np.diff(pairs[:, 0]), round(SPAN_S * NS_PER_S))
    return 1 + float(steps.sum()) / (SPAN_S * NS_PER_S)


def _turn(before: NDArray[np.uint8], after: NDArray[np.uint8], camera: Camera) -> Float | None:
    """The median motion (2,) of the middle of the image, in units of the focal length; None if it cannot be seen."""
    mask = np.zeros(before.shape, np.uint8)
    reach_x, reach_y = MIDDLE * camera.fx, MIDDLE * camera.fy
    rows = slice(max(0, int(camera.cy - reach_y)), int(camera.cy + reach_y) + 1)
    mask[rows, max(0, int(camera.cx - reach_x)) : int(camera.cx + reach_x) + 1] = 255
    corners = cv2.goodFeaturesToTrack(before, CORNERS, 0.01, 5, mask=mask)
    if corners is None or len(corners) < MIN_FOLLOWED:
        return None
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, np.empty_like(corners))
    good = found.ravel() == 1
    if good.sum() < MIN_FOLLOWED:
        return None
    turn: Float = np.median((moved - corners).reshape(-1, 2)[good], axis=0) / (camera.fx, camera.fy)
    return turn


def _rates(pairs: Stamps, poses_at: PosesAt) -> tuple[Float, NDArray[np.bool_]]:
    """How fast (M, 2) the middle of the image moves by the poses' turns between stamps (M, 2), and where it is known:
    a turn about y moves it against x, one about x along y."""
    (first, first_known), (second, second_known) = (poses_at(pairs[:, k]) for k in (0, 1))
    turns = np.einsum("nji,njk->nik", first[:, :3, :3], second[:, :3, :3])
    about = np.stack([turns[:, 2, 1] - turns[:, 1, 2], turns[:, 0, 2] - turns[:, 2, 0]], axis=1) / 2
    seconds = np.maximum((pairs[:, 1] - pairs[:, 0]) / NS_PER_S, 1e-9)
    return np.stack([-about[:, 1], about[:, 0]], axis=1) / seconds[:, None], first_known & second_known


def _correlation(seen: Float, rates: Float, known: NDArray[np.bool_]) -> float:
    """Of what is seen and what the poses say, both components together; 0 where too little is known."""
    if known.sum() < LEAST_PAIRS:
        return 0.0
    a, b = (values[known] - np.median(values[known], axis=0) for values in (seen, rates))
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / size if size > 0 else 0.0
