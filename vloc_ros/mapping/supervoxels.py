"""Voxel-cloud connectivity segmentation: a surface in patches of similar size (Papon et al., CVPR 2013)."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from vloc_ros.compiled import compiled
from vloc_ros.errors import ConfigError
from vloc_ros.mapping.surface import Surface
from vloc_ros.mapping.voxels import build_table, cells_of, find, keys_of, pack

Float = NDArray[np.float64]
Ints = NDArray[np.int32]

ROUNDS = 5
NORMAL_WEIGHT = 3.0  # a right angle costs more than the distance to any seed nearby
COLOR_WEIGHT = 0.3
REACH = 1.25  # patch sizes from its centre that a patch may grow
SEED_SPACING = 0.75  # least distance D of two seeds: the grid alone seeds slanted surfaces too densely
SEED_SUPPORT = 0.3  # occupied share of the disc around a seed below which it is isolated
MIN_AREA = 0.2  # of a square patch's area; smaller patches are given to their neighbours, or dropped
COUNT_TOLERANCE = 0.05
MAX_TRIALS = 8


def segment(surface: Surface, patch_size: float) -> Ints:
    """Patch (0 .. P - 1) of every surface point, -1 for specks that belong to no patch; patch_size in metres.

    Seeds on a grid of patch_size grow over the 26-neighbourhood of occupied voxels; each voxel goes to the patch with
    the least distance D^2 = |dp|^2 / size^2 + w_n (1 - n.n') + w_c |dc|^2 among those that reach it. Then the centres
    are updated, a few rounds. Raises ConfigError for a patch size below three voxels.
    """
    if not patch_size >= 3 * surface.voxel_size:
        raise ConfigError(f"supervoxels: patch size {patch_size} m is below three voxels of {surface.voxel_size} m")
    indptr, neighbours = _adjacency(surface)
    features = _features(surface, patch_size)
    min_count = max(3, round(MIN_AREA * (patch_size / surface.voxel_size) ** 2))
    patch = np.full(len(surface), -1, dtype=np.int32)
    for _ in range(ROUNDS):
        centers = _means(features, patch)
        fresh = _new_seeds(surface, features, patch, patch_size, indptr, neighbours)
        seeds = np.concatenate([_nearest_members(features, patch, centers), fresh])
        patch = np.full(len(surface), -1, dtype=np.int32)
        patch[seeds] = np.arange(len(seeds))
        _grow(indptr, neighbours, features, np.concatenate([centers, features[fresh]]), patch)
        patch = _without_small(patch, min_count)
    patch = _without_small(_largest_parts(indptr, neighbours, patch), min_count)
    _grow(indptr, neighbours, features, _means(features, patch), patch)
    return patch


def segment_to_count(surface: Surface, count: int) -> tuple[Ints, float]:
    """As `segment`, with the patch size (also returned, metres) that gives `count` patches within about 5 %.

    The number of patches falls with the square of their size; the search stops at the smallest size that the voxels
    allow. Raises ConfigError for a count below 1.
    """
    if count < 1:
        raise ConfigError(f"supervoxels: {count} patches wanted, at least 1 needed")
    smallest = 3 * surface.voxel_size
    size = max(smallest, surface.voxel_size * float(np.sqrt(len(surface) / count)))
    best, best_size, best_error = np.empty(0, dtype=np.int32), size, np.inf
    for _ in range(MAX_TRIALS):
        patch = segment(surface, size)
        found = int(patch.max(initial=-1)) + 1
        error = abs(found - count) / count
        if error < best_error:
            best, best_size, best_error = patch, size, error
        if error <= COUNT_TOLERANCE or (size == smallest and found < count):
            break
        size = max(smallest, size * float(np.sqrt(max(found, 1) / count)))
    return best, best_size


def _features(surface: Surface, patch_size: float) -> Float:
    """(N, 9) coordinates in which the squared Euclidean distance is D^2, because |n - n'|^2 = 2 (1 - n.n')."""
    normals, colors = surface.normals * np.sqrt(NORMAL_WEIGHT / 2), surface.colors * np.sqrt(COLOR_WEIGHT)
    return np.hstack([surface.points / patch_size, normals, colors])


def _adjacency(surface: Surface) -> tuple[NDArray[np.int64], Ints]:
    """The occupied ones of each voxel's 26 neighbours, in compressed rows."""
    cells = cells_of(surface.points, surface.voxel_size)
    table = build_table(keys_of(cells))
    indptr = np.zeros(len(cells) + 1, dtype=np.int64)
    neighbours = np.empty(0, dtype=np.int32)
    _link(cells, table.keys, table.rows, indptr, neighbours)
    neighbours = np.empty(indptr[-1], dtype=np.int32)
    _link(cells, table.keys, table.rows, indptr, neighbours)
    return indptr, neighbours


@compiled()
def _link(cells, keys, rows, indptr, neighbours):  # type: ignore[no-untyped-def]
    """Write the row ends to indptr and, where there is room for them, the neighbours."""
    used = 0
    for i in range(cells.shape[0]):
        for dx in range(-1, 2):
            for dy in range(-1, 2):
                for dz in range(-1, 2):
                    j = find(keys, rows, pack(cells[i, 0] + dx, cells[i, 1] + dy, cells[i, 2] + dz))
                    if j >= 0 and j != i:
                        if used < neighbours.shape[0]:
                            neighbours[used] = j
                        used += 1
        indptr[i + 1] = used


def _new_seeds(
    surface: Surface, features: Float, patch: Ints, patch_size: float, indptr: NDArray[np.int64], neighbours: Ints
) -> NDArray[np.int64]:
    """Seeds on a grid over the points without a patch: not isolated, moved off edges, not crowded."""
    free = np.flatnonzero(patch < 0)
    if not len(free):
        return free
    points = surface.points[free]
    _, cell = np.unique(keys_of(cells_of(points, patch_size)), return_inverse=True)
    middle = np.stack([np.bincount(cell, points[:, k]) for k in range(3)], axis=1) / np.bincount(cell)[:, None]
    distance = np.linalg.norm(points - middle[cell], axis=1)
    order = np.lexsort((distance, cell))
    seeds = order[np.unique(cell[order], return_index=True)[1]]  # the point nearest to the middle of its cell's points
    support = cKDTree(points).query_ball_point(points[seeds], patch_size / 2, return_length=True)
    disc = np.pi * (patch_size / 2 / surface.voxel_size) ** 2
    seeds = _off_edges(indptr, neighbours, features, free[seeds[support >= SEED_SUPPORT * disc]])
    return _thinned_out(features, np.unique(seeds))


def _thinned_out(features: Float, seeds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep, in order, each seed that is at least SEED_SPACING from those kept."""
    if len(seeds) < 2:
        return seeds
    keep = np.ones(len(seeds), dtype=bool)
    pairs = cKDTree(features[seeds]).query_pairs(SEED_SPACING, output_type="ndarray")
    for first, second in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]:
        if keep[first]:
            keep[second] = False
    return seeds[keep]


@compiled()
def _off_edges(indptr, neighbours, features, seeds):  # type: ignore[no-untyped-def]
    """Each seed's neighbour, or itself, where normals and colours change least."""
    moved = np.empty_like(seeds)
    for s in range(seeds.shape[0]):
        best, least = seeds[s], _gradient(indptr, neighbours, features, seeds[s])
        for e in range(indptr[seeds[s]], indptr[seeds[s] + 1]):
            gradient = _gradient(indptr, neighbours, features, neighbours[e])
            if gradient < least:
                best, least = neighbours[e], gradient
        moved[s] = best
    return moved


@compiled()
def _gradient(indptr, neighbours, features, i):  # type: ignore[no-untyped-def]
    total = 0.0
    for e in range(indptr[i], indptr[i + 1]):
        for k in range(3, features.shape[1]):
            total += (features[neighbours[e], k] - features[i, k]) ** 2
    return total / max(1, indptr[i + 1] - indptr[i])


@compiled()
def _grow(indptr, neighbours, features, centers, patch):  # type: ignore[no-untyped-def]
    """Grow the patches from the voxels that have one, which keep theirs, breadth first; a voxel reached by several
    patches goes to the one whose centre is nearest. Writes to `patch`."""
    count = patch.shape[0]
    distance = np.where(patch >= 0, 0.0, np.inf)
    queue = np.empty(count, dtype=np.int32)  # a ring: no voxel is in it twice
    queued = patch >= 0
    size = 0
    for i in range(count):
        if queued[i]:
            queue[size] = i
            size += 1
    head = 0
    while size > 0:
        i = queue[head]
        head, size = (head + 1) % count, size - 1
        queued[i] = False
        for e in range(indptr[i], indptr[i + 1]):
            j, apart, d = neighbours[e], 0.0, 0.0
            for k in range(features.shape[1]):
                d += (features[j, k] - centers[patch[i], k]) ** 2
                if k == 2:
                    apart = d
            if apart <= REACH**2 and d < distance[j]:
                distance[j], patch[j] = d, patch[i]
                if not queued[j]:
                    queue[(head + size) % count] = j
                    size += 1
                    queued[j] = True


def _means(features: Float, patch: Ints) -> Float:
    """Mean features (P, 9) of the patches."""
    member = patch >= 0
    count = np.bincount(patch[member])
    sums = [np.bincount(patch[member], features[member, k], len(count)) for k in range(features.shape[1])]
    return np.stack(sums, axis=1) / count[:, None]


def _nearest_members(features: Float, patch: Ints, centers: Float) -> NDArray[np.int64]:
    """Of each patch (P,) the member nearest to its centre."""
    members = np.flatnonzero(patch >= 0)
    distance = np.linalg.norm(features[members] - centers[patch[members]], axis=1)
    order = members[np.lexsort((distance, patch[members]))]
    return np.asarray(order[np.unique(patch[order], return_index=True)[1]], dtype=np.int64)


def _without_small(patch: Ints, min_count: int) -> Ints:
    """Patches renumbered without those of fewer than min_count voxels, whose voxels become -1."""
    count = np.bincount(patch[patch >= 0])
    renumbered = np.where(count >= min_count, np.cumsum(count >= min_count) - 1, -1)
    return np.append(renumbered, -1)[patch].astype(np.int32)  # patch -1 picks the -1 at the end


def _largest_parts(indptr: NDArray[np.int64], neighbours: Ints, patch: Ints) -> Ints:
    """Of each patch only its largest connected part; the other voxels become -1."""
    rows = np.repeat(np.arange(len(patch)), np.diff(indptr))
    same = (patch[rows] == patch[neighbours]) & (patch[rows] >= 0)
    graph = coo_matrix((np.ones(int(same.sum()), dtype=bool), (rows[same], neighbours[same])), (len(patch), len(patch)))
    _, part = connected_components(graph, directed=False)
    part_size = np.bincount(part)
    order = np.lexsort((part, -part_size[part], patch))
    first = order[np.unique(patch[order], return_index=True)[1]]  # one voxel of the largest part of each patch
    largest = np.zeros(len(part_size), dtype=bool)
    largest[part[first]] = True
    return np.where(largest[part], patch, -1).astype(np.int32)
