"""Whether two parts of a reconstruction hang together by next to nothing.

One poster that hangs in two rooms is enough for structure from motion to make one place of them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import coo_matrix

from vloc_ros.mapping.colmap_model import ColmapModel
from vloc_ros.mapping.sfm.mapper import SMALLEST_MODEL

# Of the smaller part's points, those that both parts see. The narrowest passage of a corridor of 75 photos has 4 %, a
# room 28 %, two furnished rooms with the same pictures on their walls 0.6 %.
WEAK_SHARE = 0.02
NAMED = 3  # images of a part


def describe_weak_link(model: ColmapModel) -> str | None:
    """What to say of the cut that the fewest points cross, where these are too few to be believed; else None."""
    count = len(model.names)
    if count < 2 * SMALLEST_MODEL:
        return None
    order = _in_line(count, model.observed_by, model.observed)
    size, shared, share = _weakest_cut(order, model.observed_by, model.observed)
    if share >= WEAK_SHARE:
        return None
    smaller = sorted((order[:size], order[size:]), key=len)[0]
    return (
        f"warning: {len(smaller)} of {count} images hang together with the others by {shared} points only, {share:.1%} "
        f"of theirs: {_named(model.names[np.sort(smaller)].tolist())}; if they are of another place that looks alike, "
        "this map is wrong: leave them out, or take photos on the way between the two"
    )


def _in_line(count: int, images: NDArray[np.int64], points: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows (I,) of images, one beside those that see the same points: in the order of the second eigenvector of the
    normalized graph Laplacian (Shi and Malik, Normalized Cuts, PAMI 2000)."""
    sees = coo_matrix((np.ones(len(images)), (images, points))).tocsr()
    sees.resize(count, sees.shape[1])
    sees.data[:] = 1.0
    together = (sees @ sees.T).toarray()
    np.fill_diagonal(together, 0.0)
    root = np.sqrt(np.maximum(together.sum(axis=1), 1.0))
    laplacian = np.eye(count) - together / np.outer(root, root)
    _, vector = eigh(laplacian, subset_by_index=[1, 1])
    return np.argsort(vector[:, 0] / root, kind="stable").astype(np.int64)


def _weakest_cut(
    order: NDArray[np.int64], images: NDArray[np.int64], points: NDArray[np.int64]
) -> tuple[int, int, float]:
    """How many images are before the cut, how many points are seen from both sides, and which share that is of the
    points of the side with fewer."""
    count, place = len(order), np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(count)
    rows, at = np.unique(points, return_inverse=True)
    first, last = np.full(len(rows), count), np.full(len(rows), -1)
    np.minimum.at(first, at, place[images])
    np.maximum.at(last, at, place[images])
    cuts = np.arange(SMALLEST_MODEL, count - SMALLEST_MODEL + 1)
    begun, ended = (np.searchsorted(np.sort(ends), cuts) for ends in (first, last))
    shared, fewer = begun - ended, np.minimum(begun, len(rows) - ended)
    shares = shared / np.maximum(fewer, 1)
    best = int(np.argmin(shares))
    return int(cuts[best]), int(shared[best]), float(shares[best])


def _named(names: Sequence[str]) -> str:
    return f"{', '.join(names[:NAMED])}{' and more' if len(names) > NAMED else ''}"
