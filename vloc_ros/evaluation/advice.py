"""What to record next, for people: where a map sees too little, and which images of its recording are of little use."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vloc_ros.evaluation.coverage import Coverage
from vloc_ros.evaluation.look_alikes import LookAlike
from vloc_ros.evaluation.recording import Recording, stretches_of

Float = NDArray[np.float64]

MOST_GAPS, APART_M = 5, 1.0  # places where something is missing, and between them
BESIDE_M = 0.4  # of the recorded path: there is no wall in between
NOT_LOOKED = 0.6  # metres and radians to the nearest mapping view: nobody has looked there
FEW_PERCENT = 2  # images of a recording that may be bad without a word


def coverage_advice(coverage: Coverage, needed: int) -> list[str]:
    """Where to take images, looking which way: the spots beside the recorded path from which most directions lack
    points, at most MOST_GAPS that are APART_M from each other."""
    lacking = (coverage.points < needed) & (coverage.off_path_m <= BESIDE_M)[:, None]
    order = np.argsort(-lacking.sum(axis=1), kind="stable")
    chosen: list[int] = []
    for spot in order[lacking.sum(axis=1)[order] > 0].tolist():
        offsets = coverage.spots[spot] - coverage.spots[chosen]
        if not chosen or np.linalg.norm(offsets, axis=1).min() >= APART_M:
            chosen.append(spot)
        if len(chosen) == MOST_GAPS:
            break
    return [_gap(coverage, needed, spot) for spot in chosen]


def _gap(coverage: Coverage, needed: int, spot: int) -> str:
    """One spot: the middle of the directions that lack points, and why they do."""
    lacking = coverage.points[spot] < needed
    middle = coverage.looking[lacking].sum(axis=0)
    # All around there is no middle: then that which lacks most.
    heading = int(np.where(lacking, coverage.looking @ middle, -np.inf).argmax())
    if np.linalg.norm(middle) < 0.5:
        heading = int(np.where(lacking, coverage.points[spot], np.iinfo(np.int64).max).argmin())
    at, towards = (", ".join(f"{value:.1f}" for value in vector) for vector in _shown(coverage, spot, heading))
    looked = coverage.away[spot, heading] <= NOT_LOOKED
    why = "mapping images look there, but show little that is found again" if looked else "no mapping image looks there"
    return (
        f"from about ({at}) towards ({towards}): {coverage.points[spot, heading]} of the {needed} points that a pose "
        f"needs; {why}. In {lacking.sum()} of {lacking.size} directions from there too few are in view."
    )


def _shown(coverage: Coverage, spot: int, heading: int) -> tuple[Float, Float]:
    """Where to stand, and a point 2 m ahead, in the map's frame, without a -0.0."""
    position = coverage.spots[spot]
    return position.round(1) + 0.0, (position + 2 * coverage.looking[heading]).round(1) + 0.0


def recording_advice(recording: Recording) -> list[str]:
    """What is wrong with many of the images, and with which."""
    kinds = (
        (recording.blurred, "blurred: move or turn more slowly, or with more light"),
        (recording.badly_exposed, "too dark or overexposed: set the exposure by hand, or record with more light"),
        (recording.plain, "with few key points: keep more than a bare wall in view, and nothing in front of the lens"),
    )
    told = []
    for bad, what in kinds:
        if 100 * bad.sum() > FEW_PERCENT * len(bad):
            first, last, count = stretches_of(bad, recording.names)[0]
            told.append(f"{bad.sum()} of {len(bad)} images are {what}; most in a row: {count} from {first} to {last}")
    return told


def look_alike_advice(found: Sequence[LookAlike], min_inliers: int) -> list[str]:
    """Parts that share as many points as a pose needs inliers."""
    told = []
    for each in found:
        one, other = (", ".join(f"{value:.1f}" for value in at.round(1) + 0.0) for at in (each.one, each.other))
        if each.points >= min_inliers:
            told.append(
                f"around ({one}) and ({other}), {each.apart_m:.1f} m apart, {each.points} points look alike: record "
                "both with more around them, and start a robot with a pose there"
            )
    return told
