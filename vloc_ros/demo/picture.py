"""The drive from above: where the robot was, where odometry alone put it, and where the relocalizer did."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.types import worst_sigma
from vloc_ros.demo.answers import Answer, odometry_in_map
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.tracking.status import CHECKED, FLOW, GLOBAL, PRIOR

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

WIDTH, HEIGHT, LEGEND_WIDTH, MARGIN = 1400, 1000, 330, 50
SUPERSAMPLING = 2  # drawn larger and shrunk, for lines finer than OpenCV's
BACKGROUND, PANEL, INK, GREY, GRID = (252, 252, 250), (243, 244, 242), (45, 50, 55), (172, 176, 180), (232, 233, 231)
TRUTH, ODOMETRY, CORRECTED = (60, 170, 90), (225, 120, 50), (35, 75, 205)
FIXES = {GLOBAL: (90, 135, 240), PRIOR: (240, 150, 30), FLOW: (20, 150, 150), CHECKED: (110, 175, 60)}
COVERED = (245, 205, 90)
FILTERED, UNCERTAIN, SIGMAS = (130, 60, 160), (236, 226, 242), 2.0
LANDMARKS_SHARE = 0.98  # of the landmarks is inside the picture; a few may be far out of a window
GAP_M = 0.5  # a path that makes a longer step is interrupted
SCALE_BARS_M = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


@dataclass(frozen=True, eq=False)
class Plan:
    """What is drawn, all in the map frame, metres: positions (N, 3), any of them empty, and the direction upwards;
    `covered`: those of the truth where a camera was covered; `sigmas` (N,): standard deviations of the filtered
    positions in their worst direction; `searches`: how the image of each fix was, of SEARCHES (`tracking/status.py`).
    """

    landmarks: Matrix
    truth: Matrix
    odometry: Matrix
    corrected: Matrix
    fixes: Matrix
    up: Matrix
    covered: Matrix
    filtered: Matrix = field(default_factory=lambda: np.empty((0, 3)))
    sigmas: Matrix = field(default_factory=lambda: np.empty(0))
    searches: tuple[str, ...] = ()

    @property
    def fixes_by_search(self) -> dict[str, Matrix]:
        """Positions (N, 3) of the fixes that there are of each."""
        found = {how: self.fixes[[each == how for each in self.searches]] for how in FIXES if self.searches}
        return {how: points for how, points in found.items() if len(points)} or {GLOBAL: self.fixes}


def plan_of(answers: Sequence[Answer], landmarks: Matrix) -> Plan:
    """The picture's content; upwards is the mean direction of the robot's z axis."""
    fixes = [answer.pose for answer in answers if answer.pose is not None]
    truth = [answer.played.map_from_base for answer in answers if answer.played.map_from_base is not None]
    corrected = [answer.from_tf for answer in answers if answer.from_tf is not None]
    filtered = [answer.filtered for answer in answers if answer.filtered is not None]
    up = np.sum([pose[:3, 2] for pose in truth or fixes], axis=0) if truth or fixes else np.array([0.0, 0.0, 1.0])
    return Plan(
        landmarks=landmarks,
        truth=_positions(truth),
        odometry=_positions(odometry_in_map([answer.played for answer in answers])),
        corrected=_positions(corrected),
        fixes=_positions(fixes),
        up=up / np.linalg.norm(up),
        covered=_positions(
            [
                answer.played.map_from_base
                for answer in answers
                if answer.played.covered and answer.played.map_from_base is not None
            ]
        ),
        filtered=_positions([each.map_from_base for each in filtered]),
        sigmas=np.array([worst_sigma(each.covariance[:3, :3]) for each in filtered]),
        searches=tuple(answer.search or GLOBAL for answer in answers if answer.pose is not None),
    )


def draw_plan(plan: Plan, title: str, notes: Sequence[str]) -> Picture:
    """RGB uint8 (HEIGHT, WIDTH, 3); `notes` are lines of text below the legend."""
    canvas = _Canvas(plan)
    canvas.grid()
    canvas.dots(plan.landmarks, GREY, 2.2)
    canvas.path(plan.covered, COVERED, 20.0)
    canvas.rings(plan.filtered, SIGMAS * plan.sigmas, UNCERTAIN)
    canvas.path(plan.odometry, ODOMETRY, 3.0)
    canvas.path(plan.truth, TRUTH, 8.0)
    canvas.path(plan.corrected, CORRECTED, 2.5)
    canvas.path(plan.filtered, FILTERED, 2.0)
    for how, fixes in plan.fixes_by_search.items():
        canvas.dots(fixes, FIXES[how], 3.2)
    canvas.start(plan.truth if len(plan.truth) else plan.fixes)
    canvas.end(plan.odometry, ODOMETRY)
    canvas.end(plan.truth, TRUTH)
    canvas.legend(plan, title, notes)
    return canvas.shrunk()


class _Canvas:
    """Draws in metres and in the finished picture's pixels, on something SUPERSAMPLING times as large."""

    def __init__(self, plan: Plan) -> None:
        self._picture = np.full((HEIGHT * SUPERSAMPLING, WIDTH * SUPERSAMPLING, 3), BACKGROUND, dtype=np.uint8)
        self._axes = _page_axes(plan.up)
        low, high = _extent([self._axes @ points.T for points in _framed(plan)])
        space = np.array([WIDTH - LEGEND_WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN])
        self._scale = float((space / np.maximum(high - low, 0.1)).min())  # pixels a metre
        self._middle = (low + high) / 2
        self._centre = np.array([LEGEND_WIDTH + (WIDTH - LEGEND_WIDTH) / 2, HEIGHT / 2])

    def grid(self) -> None:
        """A line every metre, or fewer where that would be too many."""
        step = next(step for step in SCALE_BARS_M if step * self._scale > 60 or step == SCALE_BARS_M[-1])
        reach = int(np.ceil(max(WIDTH, HEIGHT) / self._scale / step))
        origin = np.round(self._middle / step) * step
        for k in range(-reach, reach + 1):
            x, y = self._on_page(origin + k * step)
            self._line((x, 0), (x, HEIGHT), GRID, 1)
            self._line((0, y), (WIDTH, y), GRID, 1)

    def path(self, points: Matrix, colour: Colour, width: float) -> None:
        """A line through the points, interrupted where the robot was carried."""
        if not len(points):
            return
        gaps = np.linalg.norm(np.diff(points, axis=0), axis=1) > GAP_M
        for part in np.split(self._project(points), np.nonzero(gaps)[0] + 1):
            ends = np.round(part * SUPERSAMPLING * _FIXED).astype(np.int32)[:, np.newaxis]
            cv2.polylines(self._picture, [ends], False, colour, _thick(width), cv2.LINE_AA, _BITS)

    def dots(self, points: Matrix, colour: Colour, radius: float) -> None:
        for centre in self._project(points):
            self._disc(centre, radius, colour)

    def rings(self, points: Matrix, radii_m: Matrix, colour: Colour) -> None:
        """Discs of so many metres."""
        for centre, radius_m in zip(self._project(points), radii_m, strict=True):
            self._disc(centre, min(radius_m * self._scale, WIDTH), colour)

    def start(self, points: Matrix) -> None:
        for centre in self._project(points[:1]):
            self._disc(centre, 13, INK)
            self._disc(centre, 10, BACKGROUND)
            self._text("start", centre + np.array([20, 6]), 0.6, INK)

    def end(self, points: Matrix, colour: Colour) -> None:
        for centre in self._project(points[-1:]):
            self._disc(centre, 9, BACKGROUND)
            self._disc(centre, 7.5, colour)

    def legend(self, plan: Plan, title: str, notes: Sequence[str]) -> None:
        cv2.rectangle(self._picture, (0, 0), _pixel((LEGEND_WIDTH, HEIGHT)), PANEL, cv2.FILLED)
        self._text(title, (28, 62), 0.85, INK, 2)
        y = 118
        for name, points, colour, width in (
            ("a camera covered", plan.covered, COVERED, 20),
            ("true path", plan.truth, TRUTH, 8),
            ("odometry alone", plan.odometry, ODOMETRY, 3),
            ("map -> base_link", plan.corrected, CORRECTED, 2.5),
            (f"filtered, {SIGMAS:g} sigma around", plan.filtered, FILTERED, 2),
        ):
            if len(points):
                self._line((30, y), (74, y), colour, width)
                self._text(name, (92, y + 6), 0.58, INK)
                y += 38
        for name, points, colour, radius in (
            *((f"fixes: {how}", fixes, FIXES[how], 3.2) for how, fixes in plan.fixes_by_search.items()),
            ("landmarks of the map", plan.landmarks, GREY, 3),
        ):
            if len(points):
                self._disc(np.array([52.0, y]), radius, colour)
                self._text(name, (92, y + 6), 0.58, INK)
                y += 38
        for row, note in enumerate(notes):
            self._text(note, (28, y + 40 + 32 * row), 0.55, INK)
        self._scale_bar()

    def shrunk(self) -> Picture:
        return np.asarray(cv2.resize(self._picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), dtype=np.uint8)

    def _scale_bar(self) -> None:
        fitting = [length for length in SCALE_BARS_M if length * self._scale <= LEGEND_WIDTH - 80]
        length = fitting[-1] if fitting else SCALE_BARS_M[0]
        left, right, y = 30.0, 30 + length * self._scale, HEIGHT - 50.0
        self._line((left, y), (right, y), INK, 3)
        for x in (left, right):
            self._line((x, y - 8), (x, y + 8), INK, 3)
        self._text(f"{length:g} m", (left, y - 20), 0.6, INK)

    def _project(self, points: Matrix) -> Matrix:
        """Positions (N, 3) in the map to pixels (N, 2) of the finished picture."""
        return self._on_page(points @ self._axes.T)

    def _on_page(self, page: Matrix) -> Matrix:
        """Metres right and up to pixels right and down."""
        pixels: Matrix = (page - self._middle) * (self._scale, -self._scale) + self._centre
        return pixels

    def _disc(self, centre: Matrix, radius: float, colour: Colour) -> None:
        size = round(radius * SUPERSAMPLING * _FIXED)
        cv2.circle(self._picture, _pixel(centre, _FIXED), size, colour, cv2.FILLED, cv2.LINE_AA, _BITS)

    def _line(self, start: Sequence[float], end: Sequence[float], colour: Colour, width: float) -> None:
        cv2.line(self._picture, _pixel(start), _pixel(end), colour, _thick(width), cv2.LINE_AA)

    def _text(self, text: str, at: Sequence[float] | Matrix, size: float, colour: Colour, weight: int = 1) -> None:
        font, scale = cv2.FONT_HERSHEY_DUPLEX, size * SUPERSAMPLING
        cv2.putText(self._picture, text, _pixel(at), font, scale, colour, weight + 1, cv2.LINE_AA)


_BITS = 4  # of cv2's fixed-point coordinates
_FIXED = 1 << _BITS


def _positions(poses: Sequence[Matrix]) -> Matrix:
    return np.array([pose[:3, 3] for pose in poses]).reshape(-1, 3)


def _page_axes(up: Matrix) -> Matrix:
    """The map's directions (2, 3) that point right and up on the page; x to the right if the map's z is upwards."""
    along = np.eye(3)[0 if abs(up[0]) < 0.9 else 1]
    right = along - (along @ up) * up
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(up, right)])


def _framed(plan: Plan) -> list[Matrix]:
    """The points that must be inside the picture: all paths, and nearly all landmarks."""
    landmarks = plan.landmarks
    if len(landmarks):
        distances = np.linalg.norm(landmarks - np.median(landmarks, axis=0), axis=1)
        landmarks = landmarks[distances <= np.quantile(distances, LANDMARKS_SHARE)]
    return [points for points in (landmarks, plan.truth, plan.odometry, plan.fixes) if len(points)]


def _extent(pages: Sequence[Matrix]) -> tuple[Matrix, Matrix]:
    """Smallest and largest coordinates of points (2, N)."""
    everything = np.concatenate(pages, axis=1) if pages else np.zeros((2, 1))
    return everything.min(axis=1), everything.max(axis=1)


def _pixel(point: Sequence[float] | Matrix, fixed: int = 1) -> tuple[int, int]:
    return round(float(point[0]) * SUPERSAMPLING * fixed), round(float(point[1]) * SUPERSAMPLING * fixed)


def _thick(width: float) -> int:
    return max(1, round(width * SUPERSAMPLING))
