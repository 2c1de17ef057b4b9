"""Where a map lies in another frame: a rigid fit between its poses of images and those of another source."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vloc_ros.core.arrays import evenly_spread
from vloc_ros.errors import DatasetError
from vloc_ros.evaluation.records import Estimated, FrameRecord
from vloc_ros.geometry.pose_error import PoseTolerance, pose_error
from vloc_ros.geometry.rigid_alignment import align_poses
from vloc_ros.geometry.transforms import Matrix, invert

FEWEST_PAIRS = 10
FEWEST_FITTED = 0.5  # of the pairs
LEAST_SPREAD_M = 0.1  # of the cameras' positions: standard deviation across the line that they lie on
LIMIT = PoseTolerance(0.2, 5.0)  # of the median residual
HYPOTHESES = 200


@dataclass(frozen=True, eq=False)
class MapAlignment:
    """`map_from_place` (4, 4) of a fit to so many of the `pairs` of poses, and what these differ by after it: medians
    and maxima."""

    map_from_place: Matrix
    pairs: int
    fitted: int
    median: PoseTolerance
    most: PoseTolerance

    def to_summary(self) -> dict[str, Any]:
        """For people, in map.yaml."""
        residuals = (("median", self.median), ("max", self.most))
        figures = {f"{name}_{unit}": round(value, 4) for name, r in residuals for unit, value in _units(r)}
        return {"pairs": self.pairs, "fitted": self.fitted, **figures}

    def __str__(self) -> str:
        return (
            f"{self.fitted} of {self.pairs} pairs of poses; residuals: median {_text(self.median)}, "
            f"max {_text(self.most)}"
        )


def pairs_of(records: Sequence[FrameRecord]) -> tuple[Matrix, Matrix]:
    """Poses (N, 4, 4) in the map's place of the images that it localized, and in the other frame."""
    localized = [r for r in records if isinstance(r.outcome, Estimated) and r.outcome.error.in_right_place]
    if len(localized) < FEWEST_PAIRS:
        raise DatasetError(
            f"{len(localized)} of {len(records)} images with a pose were localized in the map, at least {FEWEST_PAIRS} "
            "are needed"
        )
    estimates = [r.outcome.map_from_camera for r in localized if isinstance(r.outcome, Estimated)]
    return np.stack(estimates), np.stack([r.true_map_from_camera for r in localized])


def align_map(
    place_from_camera: Matrix, map_from_camera: Matrix, limit: PoseTolerance = LIMIT, same_camera: bool = False
) -> MapAlignment:
    """The rigid fit between poses (N, 4, 4) of the same cameras in a place and in a map's frame.

    It begins with the pair whose own transform has the least median residual over all pairs, so that up to half of them
    may be wrong, and ends with least squares over those that agree. `same_camera`: both kinds of poses are known to be
    of one camera, so that its orientations determine the rotation, however straight the drive. Raises DatasetError for
    too few pairs, positions that else do not determine the rotation, and residuals above the limit.
    """
    pairs = len(place_from_camera)
    if pairs < FEWEST_PAIRS:
        raise DatasetError(f"{pairs} pairs of poses, at least {FEWEST_PAIRS} are needed")
    start = _consensus(place_from_camera, map_from_camera)
    fit, good = align_poses(place_from_camera, map_from_camera, start)
    residuals = [pose_error(a, b) for a, b in zip(fit @ place_from_camera[good], map_from_camera[good], strict=True)]
    values = np.array([[each.translation_m, np.degrees(each.rotation_rad)] for each in residuals])
    found = MapAlignment(
        fit, pairs, int(good.sum()), PoseTolerance(*np.median(values, axis=0)), PoseTolerance(*values.max(axis=0))
    )
    if found.median.metres > limit.metres or found.median.degrees > limit.degrees:
        raise DatasetError(
            f"the poses do not fit: median residual {_text(found.median)} of {pairs} pairs, at most {limit} may be; "
            "are they poses of the camera, and of the same time?"
        )
    if found.fitted < FEWEST_FITTED * pairs:
        raise DatasetError(f"the poses do not fit: only {found.fitted} of {pairs} pairs agree on one transform")
    if not same_camera:
        _require_spread(map_from_camera[good, :3, 3], found.median)
    return found


def _consensus(source: Matrix, target: Matrix) -> Matrix:
    """Of the transforms that single pairs stand for, the one with the least median distance over all pairs."""
    rows = evenly_spread(len(source), HYPOTHESES)
    candidates = target[rows] @ invert(source[rows])
    moved = np.einsum("kij,nj->kni", candidates[:, :3, :3], source[:, :3, 3]) + candidates[:, None, :3, 3]
    apart = np.median(np.linalg.norm(moved - target[:, :3, 3], axis=2), axis=1)
    best: Matrix = candidates[int(np.argmin(apart))]
    return best


def _require_spread(positions: Matrix, residual: PoseTolerance) -> None:
    """Raise DatasetError where the positions (N, 3) lie within what is noise of a point or a line: the rotation would
    rest on the cameras' orientations alone, and a constant error of these could not be told from it."""
    _, lengths, axes = np.linalg.svd(positions - positions.mean(axis=0))
    along, across, _ = lengths / np.sqrt(len(positions))
    least = max(LEAST_SPREAD_M, 3 * residual.metres)
    if along < least:
        raise DatasetError(
            f"the rotation is not determined: all positions lie within {100 * along:.1f} cm of a point (standard "
            f"deviation), at least {100 * least:.1f} cm are needed: drive a curve"
        )
    if across < least:
        direction = " ".join(f"{value:.2f}" for value in axes[0] + 0.0)
        raise DatasetError(
            f"the rotation about the axis {direction} is not determined: all positions lie on a line along it, within "
            f"{100 * across:.1f} cm (standard deviation), at least {100 * least:.1f} cm are needed: drive a curve"
        )


def _units(residual: PoseTolerance) -> tuple[tuple[str, float], tuple[str, float]]:
    return ("cm", residual.centimetres), ("deg", residual.degrees)


def _text(residual: PoseTolerance) -> str:
    return f"{residual.centimetres:.2f} cm, {residual.degrees:.2f} deg"
