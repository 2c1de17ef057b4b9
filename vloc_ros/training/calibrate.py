"""Gate thresholds from held-out frames: as tight as the good poses allow, with room for harder views than those."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from vloc_ros.core.manifest import GateThresholds
from vloc_ros.evaluation.evaluate import Estimated, FrameRecord

GOOD_LIMITS = (0.10, 5.0)  # metres, degrees
FEWEST_INLIERS = 8
OPEN_GATE = GateThresholds(0, 0.0, math.inf, math.inf, math.inf)


def calibrate_gate(records: Sequence[FrameRecord]) -> GateThresholds:
    """Thresholds from an evaluation through OPEN_GATE; the defaults if it has no good pose at all.

    A good pose's weakest figures, with a margin of three, since the robot will see views worse than those held out.
    """
    estimates = [record.outcome for record in records if isinstance(record.outcome, Estimated)]
    good = [estimate for estimate in estimates if estimate.error.within(*GOOD_LIMITS)]
    if not good:
        return GateThresholds()

    def percentile(figure: Callable[[Estimated], float], q: float) -> float:
        return float(np.percentile([figure(estimate) for estimate in good], q))

    return GateThresholds(
        min_inliers=max(FEWEST_INLIERS, math.floor(percentile(lambda e: e.inliers, 2) / 3)),
        min_inlier_ratio=round(percentile(lambda e: e.inlier_ratio, 2) / 3, 3),
        max_reprojection_rmse_px=round(3 * percentile(lambda e: e.reprojection_rmse_px, 98), 3),
        max_position_sigma_m=round(max(0.02, 3 * percentile(lambda e: e.position_sigma_m, 98)), 4),
        max_rotation_sigma_deg=round(max(0.5, 3 * percentile(lambda e: e.rotation_sigma_deg, 98)), 4),
    )
