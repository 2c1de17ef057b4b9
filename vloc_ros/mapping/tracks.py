"""Tracks: key points of several frames that show the same point, from matches of pairs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.mapping.pair_matching import KeyPointMatches

REMEMBERED = 16  # tracks that conflict with one, so that their frames are not compared for every match between them
MIN_LENGTH = 3  # frames; two may agree by chance


@dataclass(frozen=True, eq=False)
class Tracks:
    """P tracks of O key points in all: `rows` (O,) of FrameFeatures' key points, those of track p from starts[p] to
    starts[p + 1] (P + 1,), in the order of their frames."""

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1


def unite(matches: KeyPointMatches, frames: NDArray[np.int32], min_length: int = MIN_LENGTH) -> Tracks:
    """Tracks of at least `min_length` key points, no two of one frame. `frames` (N,): that of each key point.

    Matches are taken in the order of their cosine; one that would put two key points of a frame into one track is left
    out: the weak edges of a conflicting track are cut (Kruskal's algorithm with a constraint).
    """
    order = np.argsort(-matches.cosines, kind="stable")
    parents = _unite(matches.rows[order], frames, int(frames.max(initial=-1)) + 1)
    is_used = np.zeros(len(frames), dtype=np.bool_)
    is_used[matches.rows] = True
    used = np.flatnonzero(is_used)
    roots = parents[used]
    by_root = np.argsort(roots, kind="stable")  # rows ascend within each, and so do frames
    _, counts = np.unique(roots[by_root], return_counts=True)
    kept = counts >= min_length
    members = np.repeat(kept, counts)
    return Tracks(used[by_root][members], np.cumsum([0, *counts[kept]], dtype=np.int64))


@compiled()
def _root(parents, row):  # type: ignore[no-untyped-def]
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row


@compiled()
def _contains(values, value):  # type: ignore[no-untyped-def]
    for each in values:  # noqa: SIM110  # Numba has no any()
        if each == value:
            return True
    return False


@compiled()
def _unite(edges, frames, frame_count):  # type: ignore[no-untyped-def]
    """The root (N,) of each key point's track. Members of a track are in a circle, linked by `following`."""
    parents, following = np.arange(len(frames)), np.arange(len(frames))
    sizes = np.ones(len(frames), np.int64)
    seen_by = np.full(frame_count, -1, np.int64)  # the edge for which a frame was marked last
    refused = np.full((len(frames), REMEMBERED), -1, np.int64)  # tracks that one cannot be united with, now or later
    for edge in range(len(edges)):
        a, b = _root(parents, edges[edge, 0]), _root(parents, edges[edge, 1])
        if a == b:
            continue
        if sizes[a] < sizes[b]:
            a, b = b, a
        if sizes[a] + sizes[b] > frame_count or _contains(refused[b], a):
            continue
        row = b
        for _ in range(sizes[b]):
            seen_by[frames[row]] = edge
            row = following[row]
        free = True
        row = a
        for _ in range(sizes[a]):
            if seen_by[frames[row]] == edge:
                free = False
                break
            row = following[row]
        if free:
            parents[b] = a
            sizes[a] += sizes[b]
            following[a], following[b] = following[b], following[a]
        else:
            refused[b, edge % REMEMBERED] = a
    for row in range(len(parents)):
        parents[row] = _root(parents, row)
    return parents
