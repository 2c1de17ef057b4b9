"""Compiled voting by directions alone. All lengths are in network output cells, cell (i, j) at y = i, x = j.

All of it lives in this one file because Numba's cache notices a change only in the file of the outermost function.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.methods.vsnet.voting_cells import F32, Real

Segment = tuple[F32, F32, F32, F32, F32]  # one label's M cells, (M,) each: x, y, direction x, y, squared confidence

# A vote is off by an angle far from the landmark and by a length near it, where directions turn quickly: the standard
# deviation of a vote line's distance to the landmark grows as sqrt(r^2 + NEAR^2) with the distance r of its cell.
NEAR = np.float32(2.0)
# Neighbouring votes come from one smooth function, so that n of them are worth about n / CORRELATED independent ones.
CORRELATED = 9.0
MIN_SIGMA = 0.1  # what a cell grid can resolve
MIN_CONDITION = 0.02  # smaller over larger eigenvalue of the normal matrix; votes all but parallel are below
IRLS_STEPS = 12
IRLS_FIRST_SCALE = np.float32(0.8)  # of the robust weight, sine of an angle; eased down to the last
IRLS_LAST_SCALE = np.float32(0.3)
EM_STEPS = 8
REGION = 3.0  # radius of the E-step's circle, in radii of a disc of the segment's size
SETTLED = 0.005  # a step of this many cells ends the iterations


@compiled(error_model="numpy", inline="always")
def _geometry(segment: Segment, i: int, x: Real, y: Real) -> Any:
    """(distance of (x, y) to vote i's line, squared distance r^2 to its cell, squared distance to its ray)."""
    rx, ry = x - segment[0][i], y - segment[1][i]
    across = segment[2][i] * ry - segment[3][i] * rx
    behind = min(segment[2][i] * rx + segment[3][i] * ry, np.float32(0.0))
    return across, rx * rx + ry * ry, across * across + behind * behind


@compiled(error_model="numpy", inline="always")
def _newton_step(axx: Real, axy: Real, ayy: Real, bx: Real, by: Real) -> Any:
    """(ok, dx, dy) with A d = -b; not ok when A is singular, that is when all votes are parallel."""
    determinant = axx * ayy - axy * axy
    if not determinant > 1e-5 * (axx + ayy) ** 2:
        return False, 0.0, 0.0
    return True, -(ayy * bx - axy * by) / determinant, -(axx * by - axy * bx) / determinant


@compiled(fastmath=True, error_model="numpy")
def _irls_sums(segment: Segment, x: Real, y: Real, scale2: Real, near2: Real) -> Any:
    """Normal matrix sum(w n n^T) (xx, xy, yy) and gradient sum(w n n^T (l - p)) (x, y) at l = (x, y).

    w = confidence^2 / (r^2 + near2) * (scale2 / (scale2 + e^2))^2 (Geman-McClure), e the sine of the angle between vote
    and direction to l; a vote that looks away from l has the distance to its ray's start in place of that to its line.
    """
    axx = axy = ayy = bx = by = np.float32(0.0)
    for i in range(len(segment[0])):
        across, r2, ray2 = _geometry(segment, i, x, y)
        variance = r2 + near2
        robust = scale2 * variance / (scale2 * variance + ray2)
        weight = segment[4][i] * robust * robust / variance
        nx, ny = -segment[3][i], segment[2][i]
        axx += weight * nx * nx
        axy += weight * nx * ny
        ayy += weight * ny * ny
        bx += weight * nx * across
        by += weight * ny * across
    return axx, axy, ayy, bx, by


@compiled(error_model="numpy")
def _irls(segment: Segment, columns: NDArray[np.int32]) -> Any:
    """(found, x, y): all votes intersected by iteratively reweighted least squares from the segment's median cell.

    `columns`: a cleared buffer as wide as the image; it is handed back cleared.
    """
    n = len(segment[0])
    x, y = _median_cell(segment, columns)
    # At first nothing is known but where the segment is: no vote is doubted, only cells far from the rest.
    scale, near2 = np.float32(1e3), np.float32(n / np.pi)
    for step in range(IRLS_STEPS):
        axx, axy, ayy, bx, by = _irls_sums(segment, x, y, scale * scale, near2)
        ok, dx, dy = _newton_step(axx, axy, ayy, bx, by)
        if not ok:
            return False, x, y
        x, y = np.float32(x + dx), np.float32(y + dy)
        if scale == IRLS_LAST_SCALE and dx * dx + dy * dy < SETTLED * SETTLED:
            break
        scale = IRLS_FIRST_SCALE if step == 0 else max(np.float32(0.5) * scale, IRLS_LAST_SCALE)
        near2 = NEAR * NEAR
    return True, x, y


@compiled(error_model="numpy")
def _median_cell(segment: Segment, columns: NDArray[np.int32]) -> Any:
    """(x, y): median column and row. The cells are in row order, so that the median row is that of the middle cell."""
    n = len(segment[0])
    for i in range(n):
        columns[int(segment[0][i])] += 1
    column, seen = 0, columns[0]
    while 2 * seen < n:
        column += 1
        seen += columns[column]
    for i in range(n):
        columns[int(segment[0][i])] = 0
    return np.float32(column), segment[1][n // 2]


@compiled(fastmath=True, error_model="numpy")
def _count_inliers(segment: Segment, x: Real, y: Real, sine2: Real) -> Any:
    """How many votes point at (x, y) to within the angle whose squared sine is `sine2`."""
    inliers = 0
    for i in range(len(segment[0])):
        _, r2, ray2 = _geometry(segment, i, x, y)
        inliers += ray2 < sine2 * (r2 + NEAR * NEAR)
    return inliers


@compiled(error_model="numpy")
def _best_intersection(segment: Segment, hypotheses: int, sine2: Real) -> Any:
    """(inliers, x, y): of `hypotheses` intersections of two random votes, the one that most votes point at."""
    n = len(segment[0])
    best, best_x, best_y = 0, np.float32(0.0), np.float32(0.0)
    for _ in range(hypotheses):
        a, b = np.random.randint(n), np.random.randint(n)  # noqa: NPY002 (Numba's own generator, seeded per image)
        turn = segment[2][a] * segment[3][b] - segment[3][a] * segment[2][b]
        if abs(turn) < 0.05:  # all but parallel: the intersection is anywhere
            continue
        gap_x, gap_y = segment[0][b] - segment[0][a], segment[1][b] - segment[1][a]
        along = (gap_x * segment[3][b] - gap_y * segment[2][b]) / turn
        x, y = segment[0][a] + along * segment[2][a], segment[1][a] + along * segment[3][a]
        inliers = _count_inliers(segment, x, y, sine2)
        if inliers > best:
            best, best_x, best_y = inliers, x, y
    return best, best_x, best_y


@compiled(error_model="numpy", fastmath=True)
def _region_sums(segment: Segment, x: Real, y: Real, sine2: Real, region2: Real) -> Any:
    """E-step, and sums for the M-step: inlier votes of cells within sqrt(region2) of l = (x, y), then as `_irls_sums`
    with weight 1 for each of them."""
    inliers = axx = axy = ayy = bx = by = np.float32(0.0)
    for i in range(len(segment[0])):
        across, r2, ray2 = _geometry(segment, i, x, y)
        inlier = np.float32((r2 < region2) & (ray2 < sine2 * (r2 + NEAR * NEAR)))
        nx, ny = -segment[3][i], segment[2][i]
        inliers += inlier
        axx += inlier * nx * nx
        axy += inlier * nx * ny
        ayy += inlier * ny * ny
        bx += inlier * nx * across
        by += inlier * ny * across
    return inliers, axx, axy, ayy, bx, by


@compiled(error_model="numpy")
def _ransac(segment: Segment, hypotheses: int, sine2: Real, min_consensus: float) -> Any:
    """(found, x, y) as paper 3.2: RANSAC over vote intersections, then EM-like least squares."""
    n = len(segment[0])
    inliers, x, y = _best_intersection(segment, hypotheses, sine2)
    region2 = np.float32(REGION * REGION * n / np.pi)
    for _ in range(EM_STEPS):
        if inliers < min_consensus * n:
            return False, x, y
        inliers, axx, axy, ayy, bx, by = _region_sums(segment, x, y, sine2, region2)
        ok, dx, dy = _newton_step(axx, axy, ayy, bx, by)
        if not ok:
            return False, x, y
        x, y = np.float32(x + dx), np.float32(y + dy)
        if dx * dx + dy * dy < SETTLED * SETTLED:
            break
    return True, x, y


@compiled(error_model="numpy", fastmath=True)
def _inlier_sums(segment: Segment, x: Real, y: Real, sine2: Real) -> Any:
    """Over the inlier votes: (count, A = sum(w n n^T) (xx, xy, yy), chi^2 = sum(w across^2)), w = confidence^2 / (r^2 +
    NEAR^2)."""
    inliers = axx = axy = ayy = chi2 = np.float32(0.0)
    for i in range(len(segment[0])):
        across, r2, ray2 = _geometry(segment, i, x, y)
        variance = r2 + NEAR * NEAR
        inlier = np.float32(ray2 < sine2 * variance)
        weight = inlier * segment[4][i] / variance
        nx, ny = -segment[3][i], segment[2][i]
        inliers += inlier
        axx += weight * nx * nx
        axy += weight * nx * ny
        ayy += weight * ny * ny
        chi2 += weight * across * across
    return inliers, axx, axy, ayy, chi2


@compiled(error_model="numpy")
def _assess(segment: Segment, x: Real, y: Real, sine2: Real) -> Any:
    """(inliers, condition, sigma) of a found landmark.

    For independent votes its covariance is s^2 A^-1 with s^2 = chi^2 / (inliers - 2), sigma that of the longer axis.
    """
    inliers, axx, axy, ayy, chi2 = _inlier_sums(segment, x, y, sine2)
    mean, spread = (axx + ayy) / 2, np.sqrt(((axx - ayy) / 2) ** 2 + axy * axy)
    if inliers < 3 or not mean - spread > 0:
        return inliers, 0.0, np.inf
    sigma = np.sqrt(CORRELATED * chi2 / (inliers - 2) / (mean - spread))
    return inliers, (mean - spread) / (mean + spread), max(sigma, MIN_SIGMA)


@compiled(error_model="numpy")
def _intersect(segment: Segment, columns: NDArray[np.int32], hypotheses: int, sine2: Real, min_consensus: float) -> Any:
    """(x, y, sigma, inliers), no inliers where nothing is found; RANSAC with so many hypotheses, or IRLS for 0."""
    if hypotheses > 0:
        ok, x, y = _ransac(segment, hypotheses, sine2, min_consensus)
    else:
        ok, x, y = _irls(segment, columns)
    if not ok:
        return x, y, np.inf, np.float32(0.0)
    inliers, condition, sigma = _assess(segment, x, y, sine2)
    return x, y, sigma, (inliers if condition >= MIN_CONDITION else np.float32(0.0))


@compiled(error_model="numpy")
def intersect_directions(
    cells: Segment,
    bounds: NDArray[np.int64],
    width: int,
    min_consensus: float,
    inlier_sine: float,
    hypotheses: int,
    seed: int,
) -> Any:
    """Rows (K, 4) x, y, sigma, inlier votes: where each segment's vote lines meet, by RANSAC, or IRLS for 0 hypotheses.

    `cells`: the first five rows of `sort_by_label`'s, `bounds` (K, 2) the first and behind the last column of each
    segment, `width` of the network's output.
    """
    np.random.seed(seed)  # noqa: NPY002 (Numba's own generator, local to the thread)
    rows = np.empty((len(bounds), 4), dtype=np.float64)
    columns = np.zeros(width, dtype=np.int32)
    sine2 = np.float32(inlier_sine * inlier_sine)
    for k in range(len(bounds)):
        a, b = bounds[k]
        segment = (cells[0][a:b], cells[1][a:b], cells[2][a:b], cells[3][a:b], cells[4][a:b])
        rows[k, 0], rows[k, 1], rows[k, 2], rows[k, 3] = _intersect(segment, columns, hypotheses, sine2, min_consensus)
    return rows
