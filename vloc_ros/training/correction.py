"""The correction field of a finished map, from where it places frames whose poses are known.

Frames that the map was made from say how its errors vary with the viewpoint. Whether they say it of other frames too is
measured on those that were kept back: there the gain is chosen, and whether the map gets a field at all. Consecutive
frames see nearly the same, so that nothing is ever measured with a field of the frame's own block.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.arrays import evenly_spread
from vloc_ros.core.correction_field import CorrectionField, CorrectionKernel
from vloc_ros.core.manifest import Manifest
from vloc_ros.datasets import Dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.evaluation.evaluate import CORES, evaluate
from vloc_ros.evaluation.records import FrameRecord
from vloc_ros.geometry.transforms import pose_distances
from vloc_ros.localizer import Localizer
from vloc_ros.progress import Advance, no_advance
from vloc_ros.training.pose_pairs import PosePairs

Float = NDArray[np.float64]

DISTANCES_M = (0.1, 0.2, 0.4)
ANGLES_DEG = (8.0, 16.0, 32.0)
NOISES = (0.3, 1.0, 3.0)  # variance of what varies from frame to frame, over that of what varies with the viewpoint
GAINS = (0.5, 0.75, 1.0, 1.25, 1.5)  # of frames that the map was not made from: their errors are larger
MOST_VIEWS = 300  # of a field: 12 kB
FAR = 0.5  # metres and radians in one
BLOCK = 10  # frames; of held-out ones fewer, as `split_held_out` has them
HELD_OUT_BLOCK = 5
FEWEST_VIEWS, FEWEST_HELD_OUT = 20, 10  # fewer tell nothing
ROUNDS = 5  # of finding outliers
OUTLIER = 3.0  # so many times the usual difference from what the views around say
LEAST_GAIN = 0.05  # share of the error that a field has to take away to be worth its bytes


@dataclass(frozen=True)
class CorrectionReport:
    """Medians of the held-out frames without and with the field; `kept`: whether the map gets it."""

    kept: bool
    frames: int
    before_m: float
    before_rad: float
    after_m: float
    after_rad: float

    def figures(self) -> dict[str, float | int | bool]:
        """For the map's accuracy, by the names that `Evaluation.summary` uses."""
        return {
            "kept": self.kept,
            "frames": self.frames,
            "median_translation_m_without": self.before_m,
            "median_rotation_deg_without": math.degrees(self.before_rad),
            "median_translation_m_with": self.after_m,
            "median_rotation_deg_with": math.degrees(self.after_rad),
        }

    def describe(self) -> str:
        """A person's line."""
        before = f"{100 * self.before_m:.2f} cm, {math.degrees(self.before_rad):.2f} deg"
        after = f"{100 * self.after_m:.2f} cm, {math.degrees(self.after_rad):.2f} deg"
        return f"correction field: {before} -> {after} on {self.frames} frames that it was not made from" + (
            "" if self.kept else ", not kept"
        )


@dataclass(frozen=True, eq=False)
class FittedCorrection:
    """What the errors of mapping frames say of those of others, times `gain`."""

    process: "_Process"
    gain: float
    report: CorrectionReport

    @cached_property
    def field(self) -> CorrectionField | None:
        """The map's, if it helps."""
        if not self.report.kept:
            return None
        field = self.process.field()
        return replace(field, coefficients=self.gain * field.coefficients)

    def steps(self, pairs: PosePairs) -> Float:
        """The steps (N, 6) by which it moves the estimated poses, without the views that are hidden from each."""
        return self.gain * self.process.predictions(pairs) if self.report.kept else np.zeros((len(pairs), 6))


def fitted_correction(
    localizer: Localizer,
    mapping: Dataset,
    held_out: Sequence[FrameRecord],
    hidden: PosePairs,
    advance: Advance = no_advance,
) -> FittedCorrection | None:
    """What a localizer with neither calibration, gate nor field says of as many `mapping` frames as the field may have
    views, measured on what it said of those that were held out and of frames with `hidden` views around them,
    if there are any. None, and no mapping frame is localized, where these are too few to tell."""
    manifest = localizer.landmark_map.manifest
    tried = _pairs_of(held_out, np.arange(len(held_out)) // HELD_OUT_BLOCK, manifest).and_these(hidden)
    if len(tried.not_wrong()) < FEWEST_HELD_OUT:
        return None
    rows = evenly_spread(len(mapping), MOST_VIEWS).tolist()
    records = evaluate(localizer, Subset(mapping, rows), advance, CORES).records
    return fit_correction(_pairs_of(records, np.array(rows) // BLOCK, manifest), tried)


def _pairs_of(records: Sequence[FrameRecord], blocks: NDArray[np.int64], manifest: Manifest) -> PosePairs:
    """Of those that were placed, and in the right one of several places."""
    return PosePairs.of(
        [
            (record.solved.map_from_camera, record.true_map_from_camera, manifest.require_index(place), block, 0.0)
            for record, block in zip(records, blocks.tolist(), strict=True)
            for place in (record.true_place,)
            if record.solved is not None and record.solved.error.in_right_place
        ]
    )


def fit_correction(mapping: PosePairs, tried: PosePairs) -> FittedCorrection | None:
    """The field that moves the poses `tried` nearest to the truth, from the errors of those of mapping frames; it is
    kept if it helps them and, where no views are hidden, mapping frames whose block is left out too. None where there
    are too few poses to tell. Those from which all views within FAR are hidden are out of its reach."""
    mapping, tried = mapping.not_wrong(), tried[tried.hidden < FAR].not_wrong()
    if len(mapping) < FEWEST_VIEWS or len(tried) < FEWEST_HELD_OUT:
        return None
    process = _likeliest(mapping[_agreeing(mapping)])
    steps, found, units = tried.steps, process.predictions(tried), _units(tried.steps)
    gain = min(GAINS, key=lambda gain: float(_sizes(steps - gain * found, units).mean()))
    left = steps - gain * found
    kept = _is_less(_sizes(left, units), _sizes(steps, units), tried.blocks)
    kept &= bool(tried.hidden.any()) or process.tells()
    return FittedCorrection(process, gain, CorrectionReport(kept, len(steps), *_medians(steps), *_medians(left)))


@dataclass(frozen=True, eq=False)
class _Process:
    """A Gaussian process over the true poses of pairs, which it was told the steps of."""

    pairs: PosePairs
    kernel: CorrectionKernel
    inverse: Float  # (N, N) of the covariance of the steps, over the variance of the process

    @staticmethod
    def of(pairs: PosePairs, apart: tuple[Float, Float], kernel: CorrectionKernel, noise: Float | float) -> "_Process":
        """`apart`: as `_apart` has it; `noise`: of all, or of each (N,)."""
        inverse: Float = np.linalg.inv(kernel(*apart) + noise * np.eye(len(pairs))).astype(np.float64)
        return _Process(pairs, kernel, inverse)

    @cached_property
    def coefficients(self) -> Float:
        """(N, 6) of the mean: see CorrectionField."""
        return self.inverse @ self.pairs.steps

    def field(self) -> CorrectionField:
        return CorrectionField(self.pairs.true, self.coefficients, self.pairs.places, self.kernel)

    def predictions(self, asked: PosePairs) -> Float:
        """The steps (M, 6) of the estimated poses asked for, as the pairs say that are not hidden from each."""
        steps = np.zeros((len(asked), 6))
        for row, (estimated, true, place, hidden) in enumerate(
            zip(asked.estimated, asked.true, asked.places, asked.hidden, strict=True)
        ):
            here = self.pairs.places == place
            near = here & (sum(pose_distances(self.pairs.true, true)) < hidden)
            coefficients = self._coefficients_without(near)
            steps[row] = (here * self.kernel(*pose_distances(self.pairs.true, estimated))) @ coefficients
        return steps

    def _coefficients_without(self, rows: NDArray[np.bool_]) -> Float:
        """(N, 6) as if these pairs (N,) were not known: Q s less Q_:R Q_RR^-1 (Q s)_R, by the inverse of a part."""
        if not rows.any():
            return self.coefficients
        part = np.linalg.solve(self.inverse[np.ix_(rows, rows)], self.coefficients[rows])
        without: Float = self.coefficients - self.inverse[:, rows] @ part
        without[rows] = 0.0  # what is left of them is rounding
        return without

    def left_out(self, groups: NDArray[np.int64]) -> Float:
        """What (N, 6) is left of the steps when each is predicted from those of other groups (N,) only: Q_GG^-1 (Q s)_G
        with Q the inverse covariance (Rasmussen and Williams 2006, equation 5.12, for groups)."""
        coefficients = self.coefficients
        left = np.empty_like(coefficients)
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            left[rows] = np.linalg.solve(self.inverse[np.ix_(rows, rows)], coefficients[rows])
        return left

    def tells(self) -> bool:
        """Whether blocks of frames say what other blocks are off by."""
        steps, blocks = self.pairs.steps, self.pairs.blocks
        units = _units(steps)
        return _is_less(_sizes(self.left_out(blocks), units), _sizes(steps, units), blocks)


def _apart(pairs: PosePairs) -> tuple[Float, Float]:
    """How far the true poses are from each other: metres and radians (N, N), infinitely in different places."""
    found = [pose_distances(pairs.true, pose) for pose in pairs.true]
    same = pairs.places[:, None] == pairs.places
    return np.where(same, [each for each, _ in found], np.inf), np.array([each for _, each in found])


def _agreeing(pairs: PosePairs) -> NDArray[np.bool_]:
    """Which (N,) pairs are not far off what the views around them say. Pairs that are off have the less of a say in
    that the more they are off (Cauchy), so that they do not discredit those beside them."""
    around, apart, units = (
        CorrectionKernel(DISTANCES_M[1], math.radians(ANGLES_DEG[1])),
        _apart(pairs),
        _units(pairs.steps),
    )
    sizes = np.zeros(len(pairs))
    for _ in range(ROUNDS):
        noise = NOISES[1] * (1 + (sizes / max(1e-9, float(np.median(sizes)))) ** 2)
        sizes = _sizes(_Process.of(pairs, apart, around, noise).left_out(np.arange(len(pairs))), units)
    agreeing: NDArray[np.bool_] = sizes <= OUTLIER * np.median(sizes)
    return agreeing


def _likeliest(pairs: PosePairs) -> _Process:
    """The one with which the other blocks say best what the pairs of a block are off by."""
    apart, units = _apart(pairs), _units(pairs.steps)
    kernels = [CorrectionKernel(distance, math.radians(angle)) for distance, angle in product(DISTANCES_M, ANGLES_DEG)]
    processes = (_Process.of(pairs, apart, kernel, noise) for kernel, noise in product(kernels, NOISES))
    return min(processes, key=lambda process: float(_sizes(process.left_out(pairs.blocks), units).mean()))


def _units(steps: Float) -> Float:
    """(6,) What a metre and a radian of error count: their medians one each."""
    return np.repeat(np.maximum(_medians(steps), 1e-9), 3)


def _medians(steps: Float) -> tuple[float, float]:
    """Of steps (N, 6): metres, radians."""
    lengths = np.linalg.norm(steps.reshape(-1, 2, 3), axis=2)
    metres, radians = np.median(lengths, axis=0).tolist()
    return metres, radians


def _sizes(steps: Float, units: Float) -> Float:
    """(N,) The sizes of steps (N, 6) in these units."""
    sizes: Float = np.linalg.norm(steps / units, axis=1)
    return sizes


def _is_less(after: Float, before: Float, blocks: NDArray[np.int64]) -> bool:
    """Whether the errors of all frames together are less by LEAST_GAIN at least, and by more than chance: two standard
    errors of a ratio of sums over blocks (Cochran 1977, equation 2.46), in which a block of few frames, or of small
    errors, counts little."""
    block = np.unique(blocks, return_inverse=True)[1]
    gains, errors = np.bincount(block, before - after), np.bincount(block, before)
    share, count = gains.sum() / errors.sum(), len(errors)
    spread = np.square(gains - share * errors).sum() / max(1, count - 1)
    least = 2 * math.sqrt(count * spread) / errors.sum() if count > 1 else math.inf
    return bool(share > max(LEAST_GAIN, least))
