"""Whether poses and depth are of the same camera, metres and moments; where they contradict each other, what fits best.

Points that one frame measured are put into another frame by the poses, and their depth is compared with what that one
measured. A wrong convention gives itself away: with the right one of the usual suspects the two agree again.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from vloc_ros.core.arrays import evenly_spread
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.transforms import apply, from_quaternion, invert, to_quaternion
from vloc_ros.mapping.depth_views import DepthView, depth_at

Float = NDArray[np.float64]

MAX_PAIRS, POINTS_PER_VIEW = 100, 600
MIN_POINTS = 1000  # seen by two frames: fewer tell nothing
MIN_OVERLAP = 0.25  # of a frame's points: of two frames that share less, what is common is often behind something
TURNED_DEG = (10.0, 50.0)  # between the frames of a pair: less tells little of axes and registration, more shows others
FEW_PAIRS = 30  # of turned frames; where there are fewer, frames that are not turned have to do
MAX_ERROR = 0.10  # of the depth, median: nothing explains that away
MIN_ERROR = 0.01  # of the depth, median: less is not looked into
MOST_LEFT = 0.5  # of the error, with a suspect that is to be believed
CLEAR = 0.1  # of the error; a suspect that leaves less is the one
USUAL = "0.1 to 4 %"  # docs/datasets.md
AGREES = 0.05  # of the depth, median: a suspect with which frames agree where without it they have nothing in common
UNITS = (1000.0, 100.0, 10.0, 0.25, 0.2, 0.1, 0.01, 0.001)  # factors; 5000 a metre is what TUM's depth images have
MAX_SHIFT_PX, MAX_ZOOM = 15.0, 1.3  # of the depth image, beside the colour image
OFFSETS = (1, 2, 3, 4, 6, 8, 11, 15, 20, 30)  # frames
FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
FROM_BODY = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])  # optical axes in those of REP 103


@dataclass(frozen=True, eq=False)
class Suspect:
    """How it may really be: `poses` (V, 4, 4) of the views, `unit` times the depth, of a depth image that is `zoom`
    times as large as the colour image has it and `shift` (x, y) beside it, in pixels of the small images. `fault`: what
    is wrong then, for a person."""

    fault: str
    poses: Float
    unit: float = 1.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Agreement:
    """`error`: median over so many `points` of how far two frames are apart, as a share of the depth."""

    error: float
    points: int


class Comparison:
    """What pairs of views measured of the same points, under one suspicion or another."""

    def __init__(self, views: Sequence[DepthView]):
        rng = np.random.default_rng(0)
        self._views = views
        self._samples = [_samples(view, rng) for view in views]
        self._pairs = _pairs(views)

    def agreement(self, suspect: Suspect, thinned: int = 1) -> Agreement:
        """Of every `thinned`-th point."""
        inverse = [invert(pose) for pose in suspect.poses]
        errors = [np.zeros(0)]
        for a, b in self._pairs:
            apart = self._errors(a, b, inverse[b] @ suspect.poses[a], suspect, thinned)
            if len(apart) >= MIN_OVERLAP * len(self._samples[a][1][::thinned]):
                errors.append(apart)
        together = np.concatenate(errors)
        return Agreement(float(np.median(together)) if len(together) else np.inf, len(together))

    def _errors(self, a: int, b: int, b_from_a: Float, suspect: Suspect, thinned: int) -> Float:
        """Of the points (N,) of view `a` that view `b` measured too."""
        (pixels, depth), (seen, seeing) = self._samples[a], (self._views[k].camera for k in (a, b))
        scale, depth = suspect.zoom * np.array([seen.fx, seen.fy]), suspect.unit * depth[::thinned]
        rays = (pixels[::thinned] - (seen.cx, seen.cy) - suspect.shift) / scale
        points = apply(b_from_a, np.column_stack([rays * depth[:, None], depth]))
        ahead = points[points[:, 2] > 1e-6]
        scale = suspect.zoom * np.array([seeing.fx, seeing.fy])
        places = ahead[:, :2] / ahead[:, 2:] * scale + (seeing.cx, seeing.cy) + suspect.shift
        measured = suspect.unit * depth_at(self._views[b], places)
        known = measured > 0
        expected, measured = ahead[known, 2], measured[known]
        return np.asarray(np.abs(expected - measured) / np.maximum(expected, measured))


def require_consistent(views: Sequence[DepthView], poses: Float, where: str) -> None:
    """Raise DatasetError, naming what fits best, if the depth of the views contradicts the poses.

    `poses` (N, 4, 4) of all the data set's frames in their order, `where` what they are of. Says nothing where too few
    points are seen twice to tell.
    """
    if fault := find_fault(views, poses):
        raise DatasetError(f"{where}: poses and depth contradict each other: {fault}")


def find_fault(views: Sequence[DepthView], poses: Float) -> str | None:
    """What `require_consistent` says of them, None if they agree."""
    if len(views) < 2:
        return None
    comparison = Comparison(views)
    given = Suspect("", np.array([view.map_from_camera for view in views]))
    found = comparison.agreement(given)
    told = found.points >= MIN_POINTS
    if told and found.error < MIN_ERROR:
        return None
    families = (
        _conventions(given.poses),
        _units(given),
        _offsets(views, poses),
        _registrations(comparison, given, views),
    )
    best, left = _most_likely(comparison, families, CLEAR * found.error if told else 0.0)
    before = f"what two frames measure of the same points is {found.error:.1%} of its depth apart (median)"
    if best is not None and left <= (MOST_LEFT * found.error if told else AGREES):
        return f"{before if told else 'no two frames see the same points'}; it is {left:.1%} if {best.fault}"
    if told and found.error > MAX_ERROR:
        return f"{before}, and {USUAL} is usual; no other axes, unit, inverse, registration or time explains it"
    return None


def _most_likely(
    comparison: Comparison, families: Iterable[Iterable[Suspect]], clear: float
) -> tuple[Suspect | None, float]:
    """The suspect with which the frames agree best, and the error that it leaves; infinite if nothing can be said. The
    families behind one that leaves less than `clear` are not looked at."""
    best: Suspect | None = None
    least = np.inf
    for family in families:
        for suspect in family:
            found = comparison.agreement(suspect)
            if found.points >= MIN_POINTS and found.error < least:
                best, least = suspect, found.error
        if least < clear:
            break
    return best, least


def _samples(view: DepthView, rng: np.random.Generator) -> tuple[Float, Float]:
    """Pixels (N, 2) of known depth, and that (N,)."""
    rows, columns = np.nonzero((view.depth > 0) & np.isfinite(view.depth))
    chosen = rng.permutation(len(rows))[:POINTS_PER_VIEW]
    rows, columns = rows[chosen], columns[chosen]
    return np.column_stack([columns, rows]).astype(np.float64), view.depth[rows, columns].astype(np.float64)


def _pairs(views: Sequence[DepthView]) -> list[tuple[int, int]]:
    """At most MAX_PAIRS that look much the same way: whatever the convention of the poses, their turns are these."""
    rotations = np.array([view.map_from_camera[:3, :3] for view in views]).reshape(-1, 3, 3)
    turns = np.degrees(np.arccos(((np.einsum("aij,bij->ab", rotations, rotations) - 1) / 2).clip(-1, 1)))
    alike = (turns < TURNED_DEG[1]) & ~np.eye(len(views), dtype=bool)
    turned = alike & (turns > TURNED_DEG[0])
    pairs = np.argwhere(turned if turned.sum() >= FEW_PAIRS else alike)
    chosen = evenly_spread(len(pairs), MAX_PAIRS)
    return [(int(a), int(b)) for a, b in pairs[chosen]]


def _conventions(poses: Float) -> Iterator[Suspect]:
    """Other axes of the camera, poses of the world in the camera, other orders of a quaternion."""
    inverse = np.array([invert(pose) for pose in poses])
    opengl = "the camera's axes are those of OpenGL (y up, looking along -z) and must be those of OpenCV"
    body = "the poses are of the camera's body (x forward, z up) and must be of its optical frame (z forward, y down)"
    inverted = "the poses are world-to-camera and must be camera-to-world"
    yield Suspect(opengl, poses @ FROM_OPENGL)
    yield Suspect(body, poses @ FROM_BODY)
    yield Suspect(inverted, inverse)
    yield Suspect(f"{inverted}, and {opengl}", inverse @ FROM_OPENGL)
    yield Suspect(f"{inverted}, and {body}", inverse @ FROM_BODY)
    transposed = poses.copy()
    transposed[:, :3, :3] = poses[:, :3, :3].transpose(0, 2, 1)
    yield Suspect("the rotations are world-to-camera and must be camera-to-world", transposed)
    quaternions = np.roll(np.array([to_quaternion(pose[:3, :3]) for pose in poses]), -1, axis=1)
    w_first = [from_quaternion(quat, pose[:3, 3]) for quat, pose in zip(quaternions, poses, strict=True)]
    yield Suspect("the quaternions have w first and must have it last", np.array(w_first))


def _units(given: Suspect) -> Iterator[Suspect]:
    for factor in UNITS:
        much, little = ("large", "small") if factor < 1 else ("small", "large")
        times = f"{max(factor, 1 / factor):g} times too"
        fault = (
            f"the depth is {times} {much}, or the positions of the poses are {times} {little} "
            "(depth images are in millimetres, positions in metres)"
        )
        yield replace(given, fault=fault, unit=factor)


def _offsets(views: Sequence[DepthView], poses: Float) -> Iterator[Suspect]:
    indices = np.array([view.index for view in views])
    for offset in (sign * size for size in OFFSETS for sign in (1, -1)):
        if abs(offset) < len(poses):
            moved = poses[(indices + offset).clip(0, len(poses) - 1)]
            when = f"{abs(offset)} frames {'before' if offset > 0 else 'after'}"
            yield Suspect(f"each frame has the pose of about {when} it (clocks apart?)", moved)


def _registrations(comparison: Comparison, given: Suspect, views: Sequence[DepthView]) -> Iterator[Suspect]:
    """The shift and zoom of the depth image with which it fits best."""

    def suspect(parameters: Float) -> Suspect:
        x, y, zoom = (parameters * (MAX_SHIFT_PX, MAX_SHIFT_PX, np.log(MAX_ZOOM))).tolist()
        return replace(given, shift=(x, y), zoom=float(np.exp(zoom)))

    def cost(parameters: Float) -> float:
        inside = bool((np.abs(parameters) <= 1).all())
        return min(1.0, comparison.agreement(suspect(parameters), thinned=2).error) if inside else 1.0

    simplex = 0.4 * np.vstack([np.zeros(3), np.eye(3)]) - 0.1
    found = suspect(
        minimize(cost, simplex[0], method="Nelder-Mead", options={"initial_simplex": simplex, "maxfev": 100}).x
    )
    x, y = (round(pixels / views[0].shrink) for pixels in found.shift)
    fault = (
        f"the depth image is shifted by {x:+d}, {y:+d} pixels and {found.zoom:.2f} times as large: "
        "it must be registered to the colour image"
    )
    yield replace(found, fault=fault)
