"""What has changed in a place between recordings: points that a later recording should have seen, and did not.

All recordings are reconstructed together. A point that a later recording observes too is kept. Any other is projected
into the later frames, whose depth says whether the surface is still there; where it is, key points say whether it looks
as it did. No point is found in every image: how often, the earlier frames that should see it say in the same way. It is
retired where the later ones find it so seldom, or look through it so often, as chance makes one point in a thousand.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from vloc_ros.core.arrays import evenly_spread
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.frame_features import FeatureSource
from vloc_ros.mapping.point_selection import point_descriptors, viewing
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]
Ints = NDArray[np.int64]
DepthAt = Callable[[int], NDArray[np.float32]]  # depth (H, W) of a frame in the reconstruction's camera, 0 = unknown

LOOKED_AT = 200  # earlier frames at most, and later ones, spread over their recordings
RADIUS_PX, MIN_COSINE = 5.0, 0.75  # of a key point that may be the point
TURNED, CLOSER, FARTHER = np.cos(np.radians(35)), 0.6, 1.5  # of views that show a point as those did that have seen it
TOLERANCE_M, TOLERANCE = 0.05, 0.03  # of a depth: the former + the latter times the depth
WINDOW = 11  # pixels, of depth around a point that has to be behind it: at an edge, a pixel decides nothing
BORDER_PX = 8.0
LEAST_WEIGHT = 1e-3  # of either side of a beta distribution
GONE_VIEWS = 3  # that see through a point: fewer may be one error of the depth
FALSE_ALARM = 1e-3  # the chance to retire a point that is still there
PRIOR_VIEWS = 2.0  # that a point is like the others: so many views of its own say as much
MOST_VIEWS = 4.0  # independent ones that a recording tells of another: its own are alike in light and direction
RETIRED, RETIRED_POINTS = 0.5, 20  # of a view's points, for the view to be retired too
CHANGED, CHANGED_POINTS = 0.5, 20  # of a landmark's earlier points that a later recording looked at
LEAST_SEEN = 0.3  # as often as earlier frames do; where later ones see less again, everything looks different


class PointState(IntEnum):
    """What became of a point."""

    KEPT = 0  # an earlier recording observed it, and a later one has seen it
    NEW = 1  # only the newest recording observed it
    UNVISITED = 2  # no later recording should have seen it, or too few views
    GONE = 3  # later views see what is behind it
    UNSEEN = 4  # later views see its surface, but not it


@dataclass(frozen=True, eq=False)
class Evidence:
    """In how many views each of the points (T,) should be: `on_surface`, and `seen` there; `through`: seen through."""

    on_surface: Ints
    seen: Ints
    through: Ints


@dataclass(frozen=True, eq=False)
class Changes:
    """The `states` (P,) of points at `positions` (P, 3); `share_seen`: how often later frames see points on their
    surface, over how often earlier ones do."""

    positions: Float
    states: NDArray[np.int8]
    share_seen: float

    @property
    def retired(self) -> NDArray[np.bool_]:
        """(P,) which points are there no longer."""
        found: NDArray[np.bool_] = self.states >= PointState.GONE
        return found

    def counts(self) -> dict[str, int]:
        """By the state's name."""
        return {state.name.lower(): int((self.states == state).sum()) for state in PointState}

    def describe(self) -> str:
        """A person's line."""
        n = self.counts()
        return (
            f"points: {n['kept']} seen again, {n['new']} new, {n['gone']} gone (seen through), {n['unseen']} no longer "
            f"seen on their surface, {n['unvisited']} not looked at; points are seen {self.share_seen:.0%} as often as "
            "before"
        )

    def by_landmark(self, landmarks: Float) -> list[dict[str, Any]]:
        """For each landmark at (K, 3) that has lost points, those nearest to it: how many of each state there are, and
        whether it has `changed`, which is that most of what was looked at is lost. The most lost points first."""
        nearest = cKDTree(landmarks).query(self.positions)[1]
        table = np.zeros((len(landmarks), len(PointState)), dtype=np.int64)
        np.add.at(table, (nearest, self.states), 1)
        lost = table[:, PointState.GONE] + table[:, PointState.UNSEEN]
        looked_at = lost + table[:, PointState.KEPT]
        names = [state.name.lower() for state in PointState]
        return [
            {
                "landmark": int(row),
                "position": landmarks[row].round(2).tolist(),
                "changed": bool(lost[row] >= max(CHANGED_POINTS, CHANGED * looked_at[row])),
                **dict(zip(names, table[row].tolist(), strict=True)),
            }
            for row in np.argsort(-lost, kind="stable")
            if lost[row]
        ]


def find_changes(
    shape: Reconstruction,
    features: FeatureSource,
    numbers: NDArray[np.int32],
    depth_at: DepthAt,
    advance: Advance = no_advance,
) -> Changes:
    """What became of the points of a reconstruction of several recordings; `numbers` (F,): that of each frame's."""
    newest = int(numbers.max())
    first, last = _recordings_of_points(shape, numbers, np.ones(len(shape.frames), dtype=np.bool_))
    _, earlier = _recordings_of_points(shape, numbers, numbers[shape.frames] < newest)
    old = np.flatnonzero(first < newest)
    before, after = _evidence(shape, features, numbers, depth_at, old, earlier[old], advance)
    share_seen = _share_seen(before, after)
    states = np.full(len(shape), PointState.NEW, dtype=np.int8)
    states[old] = np.where(last[old] == newest, PointState.KEPT, _states(before, after, share_seen))
    return Changes(shape.positions, states, share_seen)


def without_retired(shape: Reconstruction, changes: Changes) -> Reconstruction:
    """The reconstruction of what is there."""
    kept = ~changes.retired
    rows = kept[shape.points]
    renumbered = np.cumsum(kept) - 1
    return replace(
        shape, positions=shape.positions[kept], sigmas=shape.sigmas[kept], frames=shape.frames[rows],
        points=renumbered[shape.points[rows]].astype(np.int32), rows=shape.rows[rows], pixels=shape.pixels[rows],
    )  # fmt: skip


def retired_views(shape: Reconstruction, changes: Changes, numbers: NDArray[np.int32]) -> list[dict[str, Any]]:
    """The views of earlier recordings that show what is there no longer: most of the points that they observe are
    retired. By name, with how many `points` they observe, and how many of these are `retired`; for people, in JSON's
    types."""
    observed = np.bincount(shape.frames, minlength=len(numbers))
    retired = np.bincount(shape.frames, changes.retired[shape.points], minlength=len(numbers)).astype(np.int64)
    shown = (numbers < numbers.max()) & (retired >= np.maximum(RETIRED_POINTS, RETIRED * observed))
    return [
        {"view": shape.names[frame], "points": int(observed[frame]), "retired": int(retired[frame])}
        for frame in np.flatnonzero(shown).tolist()
    ]


def _recordings_of_points(
    shape: Reconstruction, numbers: NDArray[np.int32], rows: NDArray[np.bool_]
) -> tuple[Ints, Ints]:
    """The first and the last recording (P,) that observes each point, by some of the observations."""
    first = np.full(len(shape), np.iinfo(np.int32).max, dtype=np.int64)
    last = np.zeros(len(shape), dtype=np.int64)
    points, recordings = shape.points[rows], numbers[shape.frames[rows]]
    np.minimum.at(first, points, recordings)
    np.maximum.at(last, points, recordings)
    return first, last


def _share_seen(before: Evidence, after: Evidence) -> float:
    """How often points are seen where they should be: later over earlier, at most 1."""
    rates = before.seen.sum() / max(1, before.on_surface.sum())
    shares = before.seen / np.maximum(1, before.on_surface)
    expected = after.on_surface * np.where(before.on_surface > 0, shares, rates)
    return float(min(1.0, after.seen.sum() / max(1.0, expected.sum())))


def _states(before: Evidence, after: Evidence, share_seen: float) -> NDArray[np.int8]:
    """(T,) of points that the newest recording does not observe."""
    looked_at = after.on_surface + after.through
    p_unseen = _tail(before.seen, before.on_surface, after.seen, after.on_surface, share_seen)
    p_gone = _tail(before.on_surface, before.on_surface + before.through, after.on_surface, looked_at, 1.0)
    unseen, gone = p_unseen < FALSE_ALARM, (p_gone < FALSE_ALARM) & (after.through > after.on_surface)
    states = np.full(len(looked_at), PointState.UNVISITED, dtype=np.int8)
    states[after.seen > 0] = PointState.KEPT
    if share_seen >= LEAST_SEEN:  # else light or lens differ: only depth counts
        states[unseen] = PointState.UNSEEN
    states[gone & (after.through >= GONE_VIEWS)] = PointState.GONE
    return states


def _tail(hits: Ints, views: Ints, later_hits: Ints, later_views: Ints, share: float) -> Float:
    """(T,) The chance of at most so many `later_hits` in so many views of a point that is as it was.

    The rate of a point is not known but for its earlier `hits`: a beta distribution, beginning with that of all points.
    Later frames have `share` of it, and what they count is beta-binomial (Gelman et al., Bayesian Data Analysis, 2.4).
    """
    from scipy.stats import betabinom  # some tens of MB, for updates only

    of_all = hits.sum() / max(1, views.sum())
    rates = share * (hits + PRIOR_VIEWS * of_all) / (views + PRIOR_VIEWS)
    total = np.minimum(views + PRIOR_VIEWS, MOST_VIEWS)
    a = np.clip(rates * total, LEAST_WEIGHT, None)
    chance: Float = betabinom.cdf(later_hits, later_views, a, np.maximum(total - a, LEAST_WEIGHT))
    return chance


def _spread(frames: Ints) -> Ints:
    rows = evenly_spread(len(frames), LOOKED_AT)
    return np.asarray(frames[rows])


def _evidence(
    shape: Reconstruction,
    features: FeatureSource,
    numbers: NDArray[np.int32],
    depth_at: DepthAt,
    tested: Ints,
    last: Ints,
    advance: Advance,
) -> tuple[Evidence, Evidence]:
    """Of the points `tested` (T,): in frames up to the recording `last` (T,) that observed each, and in later ones."""
    counts = np.zeros((2, 3, len(tested)), dtype=np.int64)
    if not len(tested):
        return Evidence(*counts[0]), Evidence(*counts[1])
    directions, distances = viewing(shape.frames, shape.points, shape.positions, shape.map_from_camera)
    descriptors = point_descriptors(shape, features, tested)
    newest = numbers == numbers.max()
    frames = np.concatenate([_spread(np.flatnonzero(~newest)), _spread(np.flatnonzero(newest))])
    for done, frame in enumerate(frames.tolist()):
        at, depths, inside = _in_view(shape, frame, tested, directions, distances)
        rows, at, depths = np.flatnonzero(inside), at[inside], depths[inside]
        found, through = _surface(depth_at(frame), at, depths)
        later = (last[rows] < numbers[frame]).astype(np.int64)
        counts[later[found], 0, rows[found]] += 1
        counts[later[found], 1, rows[found]] += _looks_alike(features, frame, at[found], descriptors[rows[found]])
        counts[later[through], 2, rows[through]] += 1
        advance(done + 1, len(frames))
    return Evidence(*counts[0]), Evidence(*counts[1])


def _in_view(
    shape: Reconstruction, frame: int, points: Ints, directions: Float, distances: Float
) -> tuple[Float, Float, NDArray[np.bool_]]:
    """Pixels (n, 2) and depths (n,) of points in a frame, and which of them it shows as they were seen before."""
    pose, positions = shape.map_from_camera[frame], shape.positions[points]
    local = apply(invert(pose), positions)
    before = local[:, 2] > 0.05
    slopes = local[:, :2] / np.where(before, local[:, 2], 1.0)[:, None]
    fx, fy, cx, cy, k1, _ = shape.intrinsics
    at = slopes * (1 + k1 * (slopes**2).sum(axis=1, keepdims=True)) * (fx, fy) + (cx, cy)
    size = np.array([shape.camera.width, shape.camera.height])
    inside = before & (at >= BORDER_PX).all(axis=1) & (at < size - BORDER_PX).all(axis=1)
    offsets = pose[:3, 3] - positions
    away = np.linalg.norm(offsets, axis=1)
    alike = (offsets * directions[points]).sum(axis=1) > TURNED * away
    nearest, farthest = distances[points].T
    return at, local[:, 2], inside & alike & (away > CLOSER * nearest) & (away < FARTHER * farthest)


def _surface(depth: NDArray[np.float32], at: Float, depths: Float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which points (n,) lie on the surface that the depth image shows, and which it sees through."""
    known = np.where(depth > 0, depth, np.float32(0))
    least = cv2.erode(known, np.ones((WINDOW, WINDOW), np.uint8))  # 0 where any is unknown
    columns, rows = np.rint(at).astype(int).T
    tolerance = TOLERANCE_M + TOLERANCE * depths
    here, around = known[rows, columns], least[rows, columns]
    return (here > 0) & (np.abs(here - depths) <= tolerance), around > depths + tolerance


def _looks_alike(features: FeatureSource, frame: int, at: Float, descriptors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether any key point near each pixel (n, 2) has a similar descriptor to (n, D)."""
    found = features.key_points(frame)
    alike = np.zeros(len(at), dtype=np.bool_)
    if not len(found) or not len(at):
        return alike
    near = cKDTree(found.pixels).query_ball_point(at, RADIUS_PX)
    counts = np.array([len(each) for each in near])
    rows = np.repeat(np.arange(len(at)), counts)
    key_points = np.array([index for each in near for index in each], dtype=np.int64)
    cosines = (found.descriptors[key_points] * descriptors[rows]).sum(axis=1)
    alike[rows[cosines >= MIN_COSINE]] = True
    return alike
