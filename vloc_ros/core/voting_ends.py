"""Compiled voting by where votes end. All lengths are in network output cells, cell (i, j) at y = i, x = j.

All of it lives in this one file because Numba's cache notices a change only in the file of the outermost function.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vloc_ros.core.voting_cells import F32, Real

Ends = tuple[F32, F32, F32, F32]  # of one label's M votes, (M,) each: x, y, 1 / scale^2, confidence^2

SCALE_FLOOR = 0.1  # no vote is more precise than that, whatever it says of itself
FIRST_CUT, CUT = np.float32(16.0), np.float32(2.0)  # of the robust weight, in scales; eased down
STEPS = 12
SETTLED = 0.005  # a step of this many cells ends the iterations
INLIER = np.float32(4.0)  # scales; 95 % of votes that are as Laplace-distributed as the network learnt them lie within
# A Laplace distribution's variance is twice its squared scale; and neighbouring votes come from one smooth function, so
# that n of them are worth about n / 2 independent ones.
VARIANCE = 4.0
MIN_SIGMA = 0.1  # what a cell grid can resolve


# Sums may be reordered, which vectorises them; all of `fastmath` would rely on there being neither infinity nor NaN.
@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")  # type: ignore[untyped-decorator]
def _sums(ends: Ends, x: Real, y: Real, cut2: Real) -> Any:
    """(inliers, sum(w), sum(w e) (x, y)) over the votes, e from l = (x, y) to the vote's end.

    w = confidence^2 / scale^2 * (cut2 / (cut2 + |e|^2 / scale^2))^2 (Geman-McClure).
    """
    inliers = total = ex = ey = np.float32(0.0)
    for i in range(len(ends[0])):
        dx, dy = ends[0][i] - x, ends[1][i] - y
        scales2 = (dx * dx + dy * dy) * ends[2][i]
        robust = cut2 / (cut2 + scales2)
        weight = ends[2][i] * ends[3][i] * robust * robust
        inliers += np.float32(scales2 < INLIER * INLIER)
        total += weight
        ex += weight * dx
        ey += weight * dy
    return inliers, total, ex, ey


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _robust_mean(ends: Ends) -> Any:
    """(x, y, sigma, inliers), no inliers where there is no mean: weighted least squares at first, then ever less of
    what is far from it."""
    x, y, cut = np.float32(0.0), np.float32(0.0), np.float32(1e4)
    for step in range(STEPS):
        inliers, total, ex, ey = _sums(ends, x, y, cut * cut)
        if not total > 0:
            return x, y, np.inf, np.float32(0.0)
        dx, dy = ex / total, ey / total
        x, y = x + dx, y + dy
        if cut == CUT and dx * dx + dy * dy < SETTLED * SETTLED:
            break
        cut = FIRST_CUT if step == 0 else max(np.float32(0.5) * cut, CUT)
    return x, y, max(np.sqrt(VARIANCE / total), MIN_SIGMA), inliers


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def average_ends(cells: F32, bounds: NDArray[np.int64]) -> Any:
    """Rows (K, 4) x, y, sigma, inlier votes: the robust mean of where each segment's votes end.

    `cells` from `sort_by_label`, `bounds` (K, 2) the first and behind the last column of each segment.
    """
    x, y = cells[0] + cells[5] * cells[2], cells[1] + cells[5] * cells[3]
    precision = np.float32(1.0) / (cells[6] ** 2 + np.float32(SCALE_FLOOR**2))
    rows = np.empty((len(bounds), 4), dtype=np.float64)
    for k in range(len(bounds)):
        a, b = bounds[k]
        rows[k, 0], rows[k, 1], rows[k, 2], rows[k, 3] = _robust_mean((x[a:b], y[a:b], precision[a:b], cells[4, a:b]))
    return rows
