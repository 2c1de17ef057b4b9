"""Parts of a place that look alike: points far from each other with the same descriptors and the same arrangement, such
as a door beside the next one. A pose in the one may be taken for a pose in the other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.points import Points
from vloc_ros.geometry.rigid_alignment import umeyama

Float = NDArray[np.float64]
Rows = NDArray[np.intp]

FAR_M = 1.0  # between two points that are not the same thing seen twice
MIN_SIMILARITY = 0.8  # cosine
WITHIN_M = 0.05  # of where the one part, moved onto the other, would have its points
AROUND_M = 1.5  # points that make one part
FEWEST = 12  # points that are arranged alike by no chance
MOST_POINTS = 20_000  # that are compared, evenly taken
MOST, TRIALS, ROWS = 5, 200, 1000


@dataclass(frozen=True, eq=False)
class LookAlike:
    """So many `points` around `one` (3,) look as those around the `other` (3,), and are arranged as they are."""

    points: int
    one: Float
    other: Float

    @property
    def apart_m(self) -> float:
        """The distance between the parts."""
        return float(np.linalg.norm(self.one - self.other))


def look_alikes(points: Points, place: int) -> list[LookAlike]:
    """The MOST pairs of parts of a place that share most points, those with most first."""
    rows = points.rows_of(place)
    rows = rows[:: max(1, -(-len(rows) // MOST_POINTS))]
    one, other = _similar_pairs(points.positions[rows], points.unit_descriptors[rows])
    first, second = points.positions[rows[one]], points.positions[rows[other]]
    random, found = np.random.default_rng(0), list[LookAlike]()
    while len(found) < MOST and len(first) >= FEWEST:
        alike = _largest_arrangement(first, second, random)
        if alike.sum() < FEWEST:
            break
        found.append(LookAlike(int(alike.sum()), np.median(first[alike], axis=0), np.median(second[alike], axis=0)))
        first, second = first[~alike], second[~alike]
    return sorted(found, key=lambda each: -each.points)


def _similar_pairs(positions: Float, descriptors: NDArray[np.float32]) -> tuple[Rows, Rows]:
    """Rows (M,) and (M,) of points that are each other's most similar one among all that are at least FAR_M away; each
    pair once."""
    best, similarity = np.zeros(len(positions), dtype=np.intp), np.zeros(len(positions), dtype=np.float32)
    squares = (positions**2).sum(axis=1)
    for start in range(0, len(positions), ROWS):
        block = slice(start, start + ROWS)
        alike = descriptors[block] @ descriptors.T
        apart = squares[block, None] + squares - 2 * positions[block] @ positions.T
        alike[apart < FAR_M**2] = -1
        best[block], similarity[block] = alike.argmax(axis=1), alike.max(axis=1)
    rows = np.arange(len(positions))
    kept = (best[best] == rows) & (rows < best) & (similarity >= MIN_SIMILARITY)
    return rows[kept], best[kept]


def _largest_arrangement(first: Float, second: Float, random: np.random.Generator) -> NDArray[np.bool_]:
    """Which of the pairs (M, 3), (M, 3) are of the one part and the other that most of them agree on."""
    largest = np.zeros(len(first), dtype=np.bool_)
    for seed in random.permutation(len(first))[:TRIALS]:
        near = np.flatnonzero(
            (np.linalg.norm(first - first[seed], axis=1) < AROUND_M)
            & (np.linalg.norm(second - second[seed], axis=1) < AROUND_M)
        )
        if len(near) < max(FEWEST, largest.sum() + 1):
            continue
        for _ in range(10):
            chosen = random.choice(near, 3, replace=False)
            alike = _arranged(first, second, near, umeyama(first[chosen], second[chosen]))
            if alike.sum() >= 3:  # again with all that agree
                rows = np.flatnonzero(alike)
                alike = _arranged(first, second, near, umeyama(first[rows], second[rows]))
            if alike.sum() > largest.sum():
                largest = alike
    return largest


def _arranged(first: Float, second: Float, near: Rows, second_from_first: Float) -> NDArray[np.bool_]:
    moved = first[near] @ second_from_first[:3, :3].T + second_from_first[:3, 3]
    found = np.zeros(len(first), dtype=np.bool_)
    found[near[np.linalg.norm(moved - second[near], axis=1) < WITHIN_M]] = True
    return found
