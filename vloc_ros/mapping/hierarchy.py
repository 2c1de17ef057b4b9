"""Hierarchies of regions: a place in regions, these in sub-regions and so on, by k-means (HSCNet, section 3)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.errors import ConfigError

Float = NDArray[np.float64]
Ints = NDArray[np.int32]

DEFAULT_BRANCHING = (25, 25)
FITTED_POINTS = 200  # of each child to be: more make k-means slower, hardly better


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Trees of regions, one for each place, whose leaves are numbered in order.

    centers: of each level 1 .. L, the coarsest first, its nodes' centres (N_l, 3) metres, in the frame of their place.
    first: of each level 0 .. L - 1 (level 0: the places) the offsets (N_l + 1,) of its nodes' children: those of node n
    are the nodes first[l][n] .. first[l][n + 1] - 1 of the next level. A hierarchy without levels has one leaf a place.
    roots: each place's centre (S, 3).

    A path (L,) leads to a leaf: a node of level 1, of whichever place, then at each level which of the node's children.
    Raises ConfigError for parts that do not belong together.
    """

    roots: Float
    centers: tuple[Float, ...]
    first: tuple[Ints, ...]

    def __post_init__(self) -> None:
        if len(self.first) != len(self.centers):
            raise ConfigError(f"hierarchy: {len(self.first)} levels have children, {len(self.centers)} have centres")
        for level, (above, first, below) in enumerate(zip(self._nodes[:-1], self.first, self.centers, strict=True)):
            if above.shape[1:] != (3,) or below.shape[1:] != (3,) or not np.isfinite(below).all():
                raise ConfigError(f"hierarchy: centres of level {level + 1} are not finite (N, 3)")
            if (
                first.shape != (len(above) + 1,)
                or first[0] != 0
                or first[-1] != len(below)
                or (np.diff(first) < 1).any()
            ):
                raise ConfigError(f"hierarchy: nodes of level {level} do not share out the {len(below)} below them")

    @property
    def _nodes(self) -> tuple[Float, ...]:
        return (self.roots, *self.centers)

    @property
    def depth(self) -> int:
        """Number of levels L."""
        return len(self.centers)

    @property
    def leaf_centers(self) -> Float:
        """Centres of the leaves (K, 3), metres."""
        return self._nodes[-1]

    @property
    def branching(self) -> tuple[int, ...]:
        """What a path can say at each level: how many nodes the first one has, how many children a node at most."""
        if not self.depth:
            return ()
        return (len(self.centers[0]), *(int(np.diff(first).max()) for first in self.first[1:]))

    def assign(self, points: Float, place: int = 0) -> Ints:
        """The leaf (N,) of each point (N, 3) of a place: at each level the child with the nearest centre."""
        nodes = np.full(len(points), place, dtype=np.int32)
        for first, centers in zip(self.first, self.centers, strict=True):
            nodes = _nearest_children(np.ascontiguousarray(points, dtype=np.float64), nodes, first, centers)
        return nodes

    def paths(self, leaves: Ints) -> Ints:
        """Paths (..., L) to leaves (...); -1 all along where the leaf is -1."""
        path = np.full((*leaves.shape, self.depth), -1, dtype=np.int32)
        for level, nodes in enumerate(self._ancestors(leaves)):
            offset = 0 if level == 0 else self.first[level][self._parents(level, nodes)]
            path[..., level] = np.where(leaves >= 0, nodes - offset, -1)
        return path

    def places(self, leaves: Ints) -> Ints:
        """The place (...) that each leaf (...) belongs to."""
        nodes = leaves
        for level in reversed(range(self.depth)):
            nodes = self._parents(level, nodes)
        return nodes

    def _parents(self, level: int, children: Ints) -> Ints:
        """Nodes of a level whose children, nodes of the next level, are given."""
        return np.asarray(np.searchsorted(self.first[level], children, side="right") - 1, dtype=np.int32)

    def _ancestors(self, leaves: Ints) -> Iterator[Ints]:
        """Of each level, the coarsest first, the nodes that the leaves lie in."""
        found = [leaves]
        for level in reversed(range(1, self.depth)):
            found.append(self._parents(level, found[-1]))
        return reversed(found[: self.depth])


def divide(hierarchy: Hierarchy, points: Float, place: int) -> tuple[Float, Ints, Float]:
    """Centres (K, 3) of a place's leaves, the one that each point (N, 3) lies in (N,), counted from the place's first,
    and how far its farthest point is from each centre (K,). Raises ConfigError for points that do not reach every leaf:
    they are not those that the hierarchy was made from."""
    own = np.flatnonzero(hierarchy.places(np.arange(len(hierarchy.leaf_centers), dtype=np.int32)) == place)
    centers = hierarchy.leaf_centers[own]
    leaves = hierarchy.assign(points, place) - np.int32(own[0])
    if (reached := len(np.unique(leaves))) != len(own):
        raise ConfigError(f"regions: the points reach {reached} of the place's {len(own)} leaves")
    extents = np.zeros(len(own))
    np.maximum.at(extents, leaves, np.linalg.norm(points - centers[leaves], axis=1))
    return centers, leaves, extents


def build_hierarchy(points: Float, branching: Sequence[int] = DEFAULT_BRANCHING, seed: int = 0) -> Hierarchy:
    """Hierarchical k-means of one place's points (N, 3), metres; branching[l] children for each node of level l.

    A node of fewer points has a child for each of them. Without branching the place is one leaf, for networks that
    regress coordinates and nothing else. Raises ConfigError for no points and for a branching below 1.
    """
    if points.ndim != 2 or points.shape[1] != 3 or not len(points) or not np.isfinite(points).all():
        raise ConfigError(f"hierarchy: points of shape {points.shape} are not finite (N, 3), N > 0")
    if any(k < 1 for k in branching):
        raise ConfigError(f"hierarchy: branching {tuple(branching)} must be positive")
    points = np.ascontiguousarray(points, dtype=np.float64)
    nodes, count = np.zeros(len(points), dtype=np.int32), 1
    centers, first = [], []
    for level, children in enumerate(branching):
        rng = np.random.default_rng((seed, level))
        found = [_cluster(members, children, rng) for members in _members(points, nodes, count)]
        centers.append(np.concatenate(found))
        first.append(np.cumsum([0, *map(len, found)]).astype(np.int32))
        nodes, count = _nearest_children(points, nodes, first[-1], centers[-1]), len(centers[-1])
    return Hierarchy(points.mean(axis=0, keepdims=True), tuple(centers), tuple(first))


def join_hierarchies(hierarchies: Sequence[Hierarchy]) -> Hierarchy:
    """One hierarchy of several places, in their order: its first level is the union of theirs.

    Leaves are numbered place after place. Coordinates stay in each place's own frame: it is the leaf that tells the
    place, so places may overlap. Raises ConfigError for no hierarchies and for ones of different depths.
    """
    depths = {hierarchy.depth for hierarchy in hierarchies}
    if len(depths) != 1:
        raise ConfigError(f"hierarchy: {len(hierarchies)} to join, of depths {sorted(depths)} instead of one")
    levels = range(depths.pop())
    return Hierarchy(
        roots=np.concatenate([h.roots for h in hierarchies]),
        centers=tuple(np.concatenate([h.centers[level] for h in hierarchies]) for level in levels),
        first=tuple(_concatenated([h.first[level] for h in hierarchies]) for level in levels),
    )


def _concatenated(offsets: Sequence[Ints]) -> Ints:
    counts = np.concatenate([np.diff(each) for each in offsets])
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def _members(points: Float, nodes: Ints, count: int) -> list[Float]:
    """The points of each node 0 .. count - 1; none is without."""
    order = np.argsort(nodes, kind="stable")
    return np.split(points[order], np.cumsum(np.bincount(nodes, minlength=count))[:-1])


def _cluster(points: Float, count: int, rng: np.random.Generator) -> Float:
    """At most `count` centres (k, 3) of points (N, 3), each the nearest one of at least one of them."""
    from sklearn.cluster import KMeans  # as in `vlad.py`

    if len(points) > FITTED_POINTS * count:
        fitted = points[rng.choice(len(points), FITTED_POINTS * count, replace=False)]
    else:
        fitted = points
    distinct = np.unique(fitted, axis=0)
    if len(distinct) > count:
        fit = KMeans(count, n_init=1, random_state=int(rng.integers(1 << 31))).fit(fitted)
        distinct = np.asarray(fit.cluster_centers_, dtype=np.float64)
    nearest = _nearest_children(points, np.zeros(len(points), np.int32), np.array([0, len(distinct)]), distinct)
    kept: Float = distinct[np.unique(nearest)]
    return kept


@compiled()
def _nearest_children(points, nodes, first, centers):  # type: ignore[no-untyped-def]
    """Of each point (N, 3), which child of its node (N,) has the nearest centre."""
    children = np.empty(len(points), dtype=np.int32)
    for i in range(len(points)):
        least = np.inf
        for child in range(first[nodes[i]], first[nodes[i] + 1]):
            distance = 0.0
            for k in range(3):
                distance += (points[i, k] - centers[child, k]) ** 2
            if distance < least:
                least, children[i] = distance, child
    return children
