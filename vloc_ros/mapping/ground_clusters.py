"""Hierarchical clustering of points on the ground plane (PRAM, equations 1 and 2)."""

import math

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.errors import ConfigError

Float = NDArray[np.float64]
Ints = NDArray[np.int32]

VERTICAL = np.array([0.0, 0.0, 1.0])  # of maps as ROS has them (REP-103)
SAME_VERTICAL_DEG = 20.0  # an estimate from the poses is about as good: a map whose z is so near has its z up
COLUMN_WEIGHT = 0.01  # of an image's column against its row, in the estimate
MOST_CELLS = 2000  # that are merged one by one: 0.3 s
FINER = 0.8  # step between cell sizes that are tried
SMALLEST_CELL = 1e-6  # metres: points so near each other are in one spot


def vertical_direction(map_from_camera: Float) -> Float:
    """Unit vector (3,) of the map that points up, given the poses (F, 4, 4) of its images; z where that is likely.

    Images are rarely turned about their optical axis, so that their rows are horizontal: up is the direction that is
    most nearly perpendicular to all of them (Brown and Lowe, IJCV 2007, section 5). Cameras that all look the same way
    leave it open in one plane; there it is the direction nearest to the images' columns. Its sign is that of the mean
    column, which points down. Raises ConfigError without poses.
    """
    if not len(map_from_camera):
        raise ConfigError("vertical direction: there are no poses to tell it from")
    rows, columns = map_from_camera[:, :3, 0], map_from_camera[:, :3, 1]
    spread = (rows.T @ rows - COLUMN_WEIGHT * columns.T @ columns) / len(rows)
    up = np.linalg.eigh(spread)[1][:, 0]
    up = up if up @ columns.mean(axis=0) <= 0 else -up
    return VERTICAL if up @ VERTICAL > np.cos(np.radians(SAME_VERTICAL_DEG)) else np.asarray(up, dtype=np.float64)


def on_ground(positions: Float, up: Float) -> Float:
    """Positions (P, 3) projected on the plane perpendicular to `up` (3,): (P, 2), metres (equation 1)."""
    axis = np.eye(3)[np.argmin(np.abs(up))]
    first = np.cross(up, axis)
    first /= np.linalg.norm(first)
    return np.asarray(positions @ np.stack([first, np.cross(up, first)], axis=1))


def cluster(points: Float, count: int) -> Ints:
    """The cluster 0 .. count - 1 of each of points (P, 2), merged from the bottom up (equation 2).

    As in BIRCH (Zhang et al., 1996) points near each other make one clustering feature, their number and mean; of these
    the two whose union adds least to the sum of squared distances to the means are merged until `count` are left
    (Ward). Points in one spot stay together: where there are fewer spots than `count`, each is a cluster. Clusters are
    numbered by their mean, so that the order of the points does not matter. Raises ConfigError for a count below 1.
    """
    if count < 1:
        raise ConfigError(f"clusters: {count} of them are wanted, at least 1 can be")
    cell = _cells(points, max(MOST_CELLS, 2 * count))
    sizes = np.bincount(cell).astype(np.float64)
    means = np.stack([np.bincount(cell, points[:, k]) for k in (0, 1)], axis=1) / sizes[:, None]
    merged = np.unique(_merge(sizes, means, count), return_inverse=True)[1].reshape(-1)
    return _renumbered(points, merged[cell])


def _cells(points: Float, most: int) -> NDArray[np.intp]:
    """The cell of a square grid that each point is in, numbered from 0: the finest grid of at most so many cells."""
    corner = points - points.min(axis=0)
    size = float(max(corner.max() / (math.isqrt(most) - 1), SMALLEST_CELL))
    while size > SMALLEST_CELL:
        finer = _numbered(corner, FINER * size)
        if finer.max() >= most:
            break
        size *= FINER
    return _numbered(corner, size)


def _numbered(corner: Float, size: float) -> NDArray[np.intp]:
    columns, rows = np.floor(corner / size).astype(np.int64).T
    return np.unique(columns * (rows.max() + 1) + rows, return_inverse=True)[1].reshape(-1)


@compiled()
def _merge(sizes: Float, means: Float, count: int) -> NDArray[np.intp]:
    """The cluster of each of C cells with so many points (C,) and means (C, 2), once `count` are left: the number of
    one of its cells. Changes sizes and means, and leaves a size of 0 where a cluster has become part of another."""
    cells = len(sizes)
    member_of = np.arange(cells)
    best, least = np.empty(cells, dtype=np.int64), np.empty(cells)
    for row in range(cells):
        best[row], least[row] = _cheapest(sizes, means, row)
    for _ in range(cells - count):
        a = np.argmin(least)
        b = best[a]
        for k in range(2):
            means[a, k] = (sizes[a] * means[a, k] + sizes[b] * means[b, k]) / (sizes[a] + sizes[b])
        sizes[a] += sizes[b]
        sizes[b], least[b] = 0.0, np.inf
        for cell in range(cells):
            if member_of[cell] == b:
                member_of[cell] = a
        best[a], least[a] = _cheapest(sizes, means, a)
        for row in range(cells):
            if row == a or sizes[row] == 0.0:
                continue
            if best[row] == a or best[row] == b:
                best[row], least[row] = _cheapest(sizes, means, row)
            else:
                cost = _cost(sizes, means, row, a)
                if cost < least[row]:
                    best[row], least[row] = a, cost
    return member_of


@compiled()
def _cost(sizes, means, a, b):  # type: ignore[no-untyped-def]
    """What uniting two clusters adds to the sum of squared distances to the means."""
    apart = (means[a, 0] - means[b, 0]) ** 2 + (means[a, 1] - means[b, 1]) ** 2
    return apart * (sizes[a] * sizes[b] / (sizes[a] + sizes[b]))


@compiled()
def _cheapest(sizes, means, row):  # type: ignore[no-untyped-def]
    """The cluster that it costs least to unite this one with, and what it costs."""
    best, least = -1, np.inf
    for other in range(len(sizes)):
        if other != row and sizes[other] > 0.0:
            cost = _cost(sizes, means, row, other)
            if cost < least:
                best, least = other, cost
    return best, least


def _renumbered(points: Float, labels: NDArray[np.intp]) -> Ints:
    """Labels in the order of the clusters' means, along the first axis and then the second."""
    sizes = np.bincount(labels)
    means = np.stack([np.bincount(labels, points[:, k]) / sizes for k in (0, 1)], axis=1).round(9)
    order = np.lexsort(means.T[::-1])
    numbers = np.empty(len(order), dtype=np.int32)
    numbers[order] = np.arange(len(order), dtype=np.int32)
    return numbers[labels]
