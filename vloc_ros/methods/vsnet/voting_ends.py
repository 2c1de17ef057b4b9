"""Voting by where votes end. All lengths are in network output cells, cell (i, j) at y = i, x = j.

All of it lives in this one file because Numba's cache notices a change only in the file of the outermost function.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.methods.vsnet.voting_cells import F32, Real

SCALE_FLOOR = 0.1  # no vote is more precise than that, whatever it says of itself
FIRST_CUT, CUT = np.float32(16.0), np.float32(2.0)  # of the robust weight, in scales; eased down
STEPS = 12
SETTLED = 0.005  # a step of this many cells ends the iterations
INLIER = np.float32(4.0)  # scales; 95 % of votes that are as Laplace-distributed as the network learnt them lie within
# A Laplace distribution's variance is twice its squared scale; and neighbouring votes come from one smooth function, so
# that n of them are worth about n / 2 independent ones.
VARIANCE = 4.0
MIN_SIGMA = 0.1  # what a cell grid can resolve


def average_ends(cells: F32, bounds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rows (K, 4) x, y, sigma, inlier votes: the robust mean of where each segment's votes end.

    `cells` from `sort_by_label`, `bounds` (K, 2) the first and behind the last column of each segment. No inliers where
    there is no mean.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # such votes weigh nothing, or their segment has no mean
        xs, ys = cells[5] * cells[2], cells[5] * cells[3]
        xs += cells[0]
        ys += cells[1]
        precisions = cells[6] ** 2
        precisions += np.float32(SCALE_FLOOR**2)
        np.reciprocal(precisions, out=precisions)
    rows = np.empty((len(bounds), 4), dtype=np.float64)
    _robust_means(xs, ys, precisions, cells[4], bounds, rows)
    means, weights = rows[:, 2] > 0, rows[:, 2]
    sigmas = np.full(len(rows), np.inf)
    sigmas[means] = np.maximum(np.sqrt(VARIANCE / weights[means]), MIN_SIGMA)
    rows[:, 2], rows[~means, 3] = sigmas, 0.0
    return rows


# Sums may be reordered, which vectorises them; all of `fastmath` would rely on there being neither infinity nor NaN.
@compiled(error_model="numpy", fastmath={"reassoc", "contract", "nsz"}, no_cfunc_wrapper=True, no_cpython_wrapper=True)
def _sums(xs: F32, ys: F32, precisions: F32, confidences2: F32, x: Real, y: Real, cut2: Real) -> Any:
    """(inliers, sum(w), sum(w e) (x, y)) over one segment's votes, e from l = (x, y) to the vote's end.

    precision = 1 / scale^2; w = confidence^2 / scale^2 * (cut2 / (cut2 + |e|^2 / scale^2))^2 (Geman-McClure).
    """
    inliers = total = ex = ey = np.float32(0.0)
    for i in range(len(xs)):
        dx, dy = xs[i] - x, ys[i] - y
        scales2 = (dx * dx + dy * dy) * precisions[i]
        robust = cut2 / (cut2 + scales2)
        weight = precisions[i] * confidences2[i] * robust * robust
        inliers += np.float32(scales2 < INLIER * INLIER)
        total += weight
        ex += weight * dx
        ey += weight * dy
    return inliers, total, ex, ey


@compiled(error_model="numpy", no_cfunc_wrapper=True)
def _robust_means(
    xs: F32, ys: F32, precisions: F32, confidences2: F32, bounds: NDArray[np.int64], rows: NDArray[np.float64]
) -> None:
    """Into rows (K, 4): x, y, total weight and inliers of each segment, no weight where there is no mean: weighted
    least squares at first, then ever less of what is far from it."""
    for k in range(len(bounds)):
        a, b = bounds[k, 0], bounds[k, 1]
        x_ends, y_ends, precision, confidence2 = xs[a:b], ys[a:b], precisions[a:b], confidences2[a:b]
        x, y, cut = np.float32(0.0), np.float32(0.0), np.float32(1e4)
        for step in range(STEPS):
            inliers, total, ex, ey = _sums(x_ends, y_ends, precision, confidence2, x, y, cut * cut)
            if not total > 0:
                break
            dx, dy = ex / total, ey / total
            x, y = x + dx, y + dy
            if cut == CUT and dx * dx + dy * dy < SETTLED * SETTLED:
                break
            cut = FIRST_CUT if step == 0 else max(np.float32(0.5) * cut, CUT)
        rows[k, 0], rows[k, 1], rows[k, 2], rows[k, 3] = x, y, total, inliers
