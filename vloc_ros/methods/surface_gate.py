"""Whether a pose is believed, for how much of the image has the colours of the surface of its place.

Correspondences are some dozens, and a gate has to refuse what so few might agree with by chance. A surface is in
thousands of pixels: where it has other colours, the pose is wrong or the place has changed; where it has the image's
nearly everywhere, fewer correspondences will do.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.core.query import View
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.methods.surface_comparison import Guess, agreement

SURE = 0.85  # of the cells, which those of hardly any wrong pose do
ODDS = 30.0  # by which a pose is then likelier to be right than its correspondences say


def judged_by_surface(
    result: PoseEstimate | Rejection,
    views: Sequence[View],
    surface: PlaceSurface,
    least: float,
    gate: Callable[[PoseEstimate], PoseEstimate | Rejection],
) -> PoseEstimate | Rejection:
    """The result of one place; a rejection of a pose where less than `least` of the views has the colours of the
    surface: they show another place that has the same doors or furniture, or their place has changed; and a pose that
    was refused where so much has them that it passes this `gate` with the confidence that it then has."""
    solved = result if isinstance(result, PoseEstimate) else result.refused
    if solved is None or solved.confidence is None or not least:
        return result
    sure = replace(solved, confidence=with_odds(solved.confidence, ODDS))
    if isinstance(result, Rejection) and isinstance(gate(sure), Rejection):
        return result
    # A camera that is covered, or sees something else, has no inliers, or few.
    inliers = np.bincount(solved.correspondences.views[solved.inliers], minlength=len(views)).astype(float)
    share = agreement(views, Guess(surface, solved.map_from_camera), inliers)
    if share is None:
        return result
    if share >= max(SURE, least):
        return sure
    if share >= least or isinstance(result, Rejection):
        return result
    detail = f"{100 * share:.0f} % of the image has the colours of the place's surface"
    needed = f"below {100 * least:.0f} %"
    return Rejection(RejectionReason.UNLIKE_SURFACE, f"{detail}, {needed}", result, place=result.place)


def with_odds(probability: float, odds: float) -> float:
    """The probability after evidence that is so many times as likely where it is true than where it is not."""
    return odds * probability / (odds * probability + 1 - probability)
