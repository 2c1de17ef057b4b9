"""Whether the recorded poses agree where frames show the same, and poses that do: drift and jumps are taken out.

Pairs of frames are found by what they show, wherever their poses say that they are (`vlad`); what they say of their
relative pose (`relative_poses`) is compared with the recorded one. Where these contradict each other, a pose graph of
both is solved, and a bundle adjustment with priors that suit follows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.arrays import evenly_spread
from vloc_ros.geometry.rigid_alignment import align_poses, corner_distances
from vloc_ros.geometry.transforms import rotation_angle
from vloc_ros.mapping.frame_features import FrameFeatures
from vloc_ros.mapping.pose_graph import Edges, optimize, recorded_steps
from vloc_ros.mapping.reconstruct import PoseNoise, reconstruct
from vloc_ros.mapping.relative_poses import KEY_POINTS, RelativePoses, measure_pairs, relative
from vloc_ros.mapping.vlad import Vlad
from vloc_ros.progress import Progress, Silent

Float = NDArray[np.float64]

CHECKED, ASKED = 50, 300  # frames that are asked first, and where poses are adjusted
APART = 10  # frames between a frame and the first that may be its partner; fewer of few frames
PASS = 30  # frames between two passes
STEP_FRAMES = 2  # between frames near in time that are compared with each other
MIN_PAIRS = 5  # that show the same: fewer tell nothing
OFF_PX, OFF_SHARE = 5.0, 0.05  # poses are adjusted where more of the pairs are off by more; matches are sought within 5
LEFT = 0.5  # of them, and of how far they are off, at most, with poses that are to be believed more
EXPLAINED = 0.5  # of what the images have moved, by recorded steps: else it is no drift that is wrong with them
SCALE = (0.8, 1.25)  # of recorded distances to those that depth tells: beyond it, units are wrong
STEP_M, STEP_OF_DISTANCE = 0.001, 0.02  # standard deviation of a recorded step
STEP_RAD, STEP_OF_ANGLE = np.radians(0.05), 0.01
PAIR_M, PAIR_RAD = 0.015, np.radians(0.3)  # that of what a pair of frames says
LOSS_SCALES = (100.0, 10.0)
ROUNDS = (PoseNoise(0.02, np.radians(0.5), 12.0, 6), PoseNoise(0.02, np.radians(0.5), 6.0))  # of bundle adjustment
TOLD = 5  # passes, at most, that a person is told of
AGREE_M = 0.1  # `corner_distances` of poses and a pair: more, and one of them is wrong
BROKEN = (
    0.1  # pairs that agree with the recorded poses alone, at most, of those that agree with the adjusted ones alone
)
WORDS, LEARNED_FROM = 32, 30_000  # of the global descriptors


@dataclass(frozen=True)
class Disagreement:
    """Two frames that show the same, and by how much the recorded poses contradict what they show."""

    first: str
    second: str
    metres: float
    degrees: float

    def describe(self) -> str:
        return f"{self.first} and {self.second}: {self.metres:.2f} m, {self.degrees:.1f} deg"


@dataclass(frozen=True, eq=False)
class LoopClosure:
    """Poses `map_from_camera` (F, 4, 4) of frames, adjusted or as `recorded`, and what was found out.

    `pairs` of frames show the same, `loops` of them are of two passes. With the recorded poses these, or all where
    there are hardly any, are `pixels_off` (median), with the adjusted ones `pixels_left`. `disagreements`: of the
    recorded poses, where they are worst; `left`: pairs that no poses bring together, which may be of two places that
    look alike.
    """

    map_from_camera: Float
    recorded: Float
    pairs: int = 0
    loops: int = 0
    pixels_off: float = 0.0
    pixels_left: float | None = None
    disagreements: tuple[Disagreement, ...] = ()
    left: tuple[Disagreement, ...] = ()

    @property
    def adjusted(self) -> bool:
        """Whether the poses are others than those recorded."""
        return self.pixels_left is not None

    def moved(self) -> tuple[Float, Float]:
        """By how much each frame's pose was adjusted: metres (F,) and radians (F,)."""
        apart = np.linalg.norm(self.map_from_camera[:, :3, 3] - self.recorded[:, :3, 3], axis=1)
        turns = [rotation_angle(a[:3, :3], b[:3, :3]) for a, b in zip(self.map_from_camera, self.recorded, strict=True)]
        return apart, np.array(turns)

    def describe(self) -> str:
        """A person's line."""
        if self.pairs < MIN_PAIRS:
            return f"as recorded, not checked: {self.pairs} pairs of frames were found that show the same"
        seen = f"{self.pairs} pairs of frames show the same, {self.loops} of them in two passes"
        if not self.adjusted:
            return f"as recorded; {seen}, {self.pixels_off:.1f} px off (median)"
        metres, degrees = self.moved()[0], np.degrees(self.moved()[1])
        return (
            f"adjusted by {np.median(metres):.3f} m, {np.median(degrees):.2f} deg (median), {metres.max():.3f} m, "
            f"{degrees.max():.2f} deg at most; {seen}, {self.pixels_off:.1f} px off with the recorded poses (median), "
            f"{self.pixels_left:.1f} px with the adjusted ones"
        )


def close_loops(features: FrameFeatures, threads: int = 1, progress: Progress | None = None) -> LoopClosure:
    """Poses that agree where frames show the same: the recorded ones where they do, or where nothing better is found.

    Needs depth at key points. Frames are taken to be in the order of their recording.
    """
    progress, recorded = progress or Silent(), features.map_from_camera
    found = LoopClosure(recorded, recorded)
    if len(features) < MIN_PAIRS or not (features.depths > 0).any():
        return found
    similarity = _similarity(features)
    with progress.bar("loops") as advance:
        checked = measure_pairs(features, similar_pairs(similarity, CHECKED), threads, advance)
    found = _with_figures(found, checked)
    if len(checked) < MIN_PAIRS or _share_off(checked) <= OFF_SHARE:
        return replace(found, left=_disagreements(features, checked))
    progress.say(f"{_share_off(checked):.0%} of {len(_judged(checked))} pairs of frames contradict the recorded poses")
    with progress.bar("all loops") as advance:
        measured = measure_pairs(features, _all_pairs(similarity), threads, advance)
    found = replace(_with_figures(found, measured), pixels_off=found.pixels_off)  # as after, of those asked first
    if not is_drift(measured, recorded):
        progress.say("poses and images contradict each other, and not as by drift: poses stay as they were recorded")
        return replace(found, left=_disagreements(features, measured))
    poses = _adjusted(features, measured, threads, progress)
    after = checked
    if poses is not None:
        with progress.bar("loops again") as advance:
            after = measure_pairs(replace(features, map_from_camera=poses), checked.pairs, threads, advance)
    if poses is None or _share_off(after) > LEFT * _share_off(checked):
        progress.say("no poses agree with all that images show: they stay as they were recorded")
        return replace(found, left=_disagreements(features, measured))
    agree = _agree(measured, poses)
    return replace(
        found,
        map_from_camera=poses,
        pixels_left=float(np.median(_judged(after).pixels_off)),
        disagreements=_disagreements(features, measured[agree]),
        left=_disagreements(features, measured[~agree]),
    )


def _adjusted(features: FrameFeatures, measured: RelativePoses, threads: int, progress: Progress) -> Float | None:
    """Poses (F, 4, 4), as a whole where the recorded ones are; None where the graph brings nothing together."""
    recorded = features.map_from_camera
    poses = solve_graph(recorded, measured, _cameras(features.names))
    if not _is_better(measured, poses, recorded) or breaks_what_agreed(measured, poses, recorded):
        return None
    for noise in ROUNDS:
        moved = replace(features, map_from_camera=poses)
        poses = reconstruct(moved, noise=noise, threads=threads, progress=progress).map_from_camera
    return np.asarray(align_poses(poses, recorded)[0] @ poses)


def similar_pairs(similarity: NDArray[np.float32], asked: int) -> NDArray[np.int32]:
    """Pairs (n, 2) of so many frames, spread evenly, with the most similar one in each octave of the time from it:
    neighbours are always alike, and would leave no room for another pass. `similarity` (F, F)."""
    count = len(similarity)
    pairs = []
    for frame in evenly_spread(count, asked).tolist():
        gap = max(1, min(APART, count // 30))
        while gap < count:
            for low, end in (
                (frame + gap, min(count, frame + 2 * gap)),
                (max(0, frame - 2 * gap + 1), frame - gap + 1),
            ):
                if low < end:
                    other = low + int(similarity[frame, low:end].argmax())
                    pairs.append((min(frame, other), max(frame, other)))
            gap *= 2
    return np.unique(np.array(pairs, dtype=np.int32).reshape(-1, 2), axis=0)


def solve_graph(recorded: Float, measured: RelativePoses, cameras: Sequence[str]) -> Float:
    """Poses (F, 4, 4) that agree best with the recorded steps from frame to frame and with what pairs of frames say.
    `cameras`: what took each frame."""
    steps, driven = recorded_steps(cameras)
    moves, ways = relative(recorded, steps), relative(recorded, driven)
    lengths = np.linalg.norm(ways[:, :3, 3], axis=1)
    angles = np.array([rotation_angle(np.eye(3), way[:3, :3]) for way in ways])
    of_steps = np.column_stack([STEP_M + STEP_OF_DISTANCE * lengths, STEP_RAD + STEP_OF_ANGLE * angles])
    of_pairs = np.tile((PAIR_M, PAIR_RAD), (len(measured), 1))
    edges = Edges(
        np.concatenate([steps, measured.pairs]),
        np.concatenate([moves, measured.first_from_second]),
        np.concatenate([of_steps, of_pairs]),
    )
    return optimize(edges, recorded, LOSS_SCALES)


def _cameras(names: Sequence[str]) -> list[str]:
    """What took each frame, as frames are called: CAMERA/STAMP."""
    return [name.rpartition("/")[0] for name in names]


def is_drift(measured: RelativePoses, recorded: Float) -> bool:
    """Whether the recorded poses are right from one frame to the next, and in metres. Other axes, other moments and
    other units are not: what is wrong then, `consistency` says."""
    near = measured[np.diff(measured.pairs, axis=1)[:, 0] <= STEP_FRAMES]
    if len(near):
        off, moved = (np.quantile(each, 0.75) for each in (near.pixels_off, near.pixels_moved))
        if off > OFF_PX and off > EXPLAINED * moved:
            return False
    told = np.linalg.norm(measured.first_from_second[:, :3, 3], axis=1)
    lengths = np.linalg.norm(relative(recorded, measured.pairs)[:, :3, 3], axis=1)
    far = told > 5 * PAIR_M
    return not far.any() or bool(SCALE[0] < np.median(lengths[far] / told[far]) < SCALE[1])


def _similarity(features: FrameFeatures) -> NDArray[np.float32]:
    """(F, F) of frames, by their best key points."""
    rows = [slice(start, min(start + KEY_POINTS, end)) for start, end in pairwise(features.starts.tolist())]
    every = max(1, sum(each.stop - each.start for each in rows) // LEARNED_FROM)
    some = np.concatenate([features.descriptors[each][::every] for each in rows])
    vlad = Vlad.learned(_floats(some), WORDS, LEARNED_FROM)
    found = np.stack([vlad(_floats(features.descriptors[each])) for each in rows])
    return np.asarray(found @ found.T)


def _floats(descriptors: NDArray[np.int8]) -> NDArray[np.float32]:
    return np.asarray(descriptors / np.float32(127), np.float32)


def _chain(count: int, step: int = 1) -> NDArray[np.int32]:
    """Pairs (n, 2) of each frame and the one so many after it."""
    first = np.arange(count - step, dtype=np.int32)
    return np.column_stack([first, first + np.int32(step)])


def _all_pairs(similarity: NDArray[np.float32]) -> NDArray[np.int32]:
    """Pairs (n, 2) of frames that may show the same, and of frames near in time, which tell of jumps."""
    near = _chain(len(similarity), STEP_FRAMES)
    return np.unique(np.concatenate([near, similar_pairs(similarity, ASKED)]), axis=0)


def _judged(measured: RelativePoses) -> RelativePoses:
    """The pairs that poses are judged by: those of two passes, where there are some; a drift shows in them."""
    loops = measured[_of_two_passes(measured)]
    return loops if len(loops) >= MIN_PAIRS else measured


def _share_off(measured: RelativePoses) -> float:
    """The share of the pairs that the poses contradict more than matches and depth may do."""
    return float(np.mean(_judged(measured).pixels_off > OFF_PX))


def _is_better(measured: RelativePoses, poses: Float, recorded: Float) -> bool:
    """Whether poses contradict less what contradicts the recorded ones."""
    off = measured[measured.pixels_off > OFF_PX]
    if not len(off):
        return False
    left, before = (corner_distances(relative(each, off.pairs), off.first_from_second) for each in (poses, recorded))
    return bool(np.median(left) <= LEFT * np.median(before))


def breaks_what_agreed(measured: RelativePoses, poses: Float, recorded: Float) -> bool:
    """Whether poses contradict what the recorded ones agree with. Two places that look alike have been laid upon each
    other then, and the way between them is bent."""
    before, after = _agree(measured, recorded), _agree(measured, poses)
    return bool((before & ~after).sum() > BROKEN * (after & ~before).sum())


def _agree(measured: RelativePoses, poses: Float) -> NDArray[np.bool_]:
    return np.asarray(corner_distances(relative(poses, measured.pairs), measured.first_from_second) <= AGREE_M)


def _of_two_passes(measured: RelativePoses) -> NDArray[np.bool_]:
    return np.asarray(np.diff(measured.pairs, axis=1)[:, 0] >= PASS)


def _with_figures(found: LoopClosure, measured: RelativePoses) -> LoopClosure:
    off = float(np.median(_judged(measured).pixels_off)) if len(measured) else 0.0
    return replace(found, pairs=len(measured), loops=int(_of_two_passes(measured).sum()), pixels_off=off)


def _disagreements(features: FrameFeatures, measured: RelativePoses) -> tuple[Disagreement, ...]:
    """Of two passes, where the recorded poses contradict the images: the worst first, each one somewhere else."""
    loops = measured[_of_two_passes(measured) & (measured.pixels_off > OFF_PX)]
    expected, told = relative(features.map_from_camera, loops.pairs), loops.first_from_second
    found: list[Disagreement] = []
    free = np.ones(len(features), dtype=np.bool_)
    for row in np.argsort(-corner_distances(expected, told), kind="stable").tolist():
        first, second = loops.pairs[row].tolist()
        if len(found) == TOLD or not (free[first] and free[second]):
            continue
        metres = float(np.linalg.norm(expected[row, :3, 3] - told[row, :3, 3]))
        degrees = float(np.degrees(rotation_angle(expected[row, :3, :3], told[row, :3, :3])))
        found.append(Disagreement(features.names[first], features.names[second], metres, degrees))
        for frame in (first, second):
            free[max(0, frame - PASS) : frame + PASS + 1] = False
    return tuple(found)
