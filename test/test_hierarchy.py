"""Hierarchies of regions: assignment against a slow reference, paths there and back, places joined."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from vloc_ros.errors import ConfigError
from vloc_ros.mapping.hierarchy import Hierarchy, build_hierarchy, join_hierarchies

POINTS = np.random.default_rng(0).uniform((-2, -1, 0), (2, 1, 3), (3000, 3))

pytestmark = pytest.mark.needs("sklearn")  # which is loaded when points are clustered


def children(hierarchy: Hierarchy, level: int, node: int) -> range:
    return range(hierarchy.first[level][node], hierarchy.first[level][node + 1])


def descend(hierarchy: Hierarchy, point: np.ndarray, place: int = 0) -> int:
    """The nearest child's centre, level by level, as it is written."""
    node = place
    for level, centers in enumerate(hierarchy.centers):
        node = min(children(hierarchy, level, node), key=lambda child: np.linalg.norm(point - centers[child]))
    return node


@pytest.mark.parametrize("branching", [(), (5,), (4, 6), (3, 4, 5)], ids=str)
def test_every_leaf_is_reached_and_every_point_goes_where_a_slow_descent_goes(branching: tuple[int, ...]) -> None:
    hierarchy = build_hierarchy(POINTS, branching)
    assert hierarchy.depth == len(branching)
    assert hierarchy.branching == branching
    leaves = hierarchy.assign(POINTS)
    assert set(leaves.tolist()) == set(range(int(np.prod(branching))))
    assert [descend(hierarchy, point) for point in POINTS[:200]] == leaves[:200].tolist()


def test_a_leafs_center_is_the_mean_of_its_points() -> None:
    hierarchy = build_hierarchy(POINTS, (4, 5))
    leaves = hierarchy.assign(POINTS)
    means = np.stack([POINTS[leaves == leaf].mean(axis=0) for leaf in range(20)])
    np.testing.assert_allclose(means, hierarchy.leaf_centers, atol=0.05)  # but for points across an outer border
    np.testing.assert_allclose(hierarchy.roots, [POINTS.mean(axis=0)])


def test_paths_lead_to_their_leaves() -> None:
    hierarchy = build_hierarchy(POINTS, (3, 4, 5))
    leaves = np.arange(60, dtype=np.int32)
    paths = hierarchy.paths(leaves)
    assert (paths.max(axis=0) == (2, 3, 4)).all()
    assert len(np.unique(paths, axis=0)) == 60
    for leaf, path in enumerate(paths):
        node = 0
        for level, child in enumerate(path):
            node = children(hierarchy, level, node)[child]
        assert node == leaf
    unknown = hierarchy.paths(np.array([[-1, 7]], dtype=np.int32))
    assert unknown.shape == (1, 2, 3)
    assert (unknown[0, 0] == -1).all()
    np.testing.assert_array_equal(unknown[0, 1], paths[7])


def test_more_levels_are_finer() -> None:
    sizes = [
        np.linalg.norm(POINTS - h.leaf_centers[h.assign(POINTS)], axis=1).mean()
        for h in (build_hierarchy(POINTS, branching) for branching in ((), (5,), (5, 5), (5, 5, 5)))
    ]
    assert all(finer < 0.75 * coarser for coarser, finer in pairwise(sizes))


def test_fewer_points_than_children() -> None:
    few = np.array([[0, 0, 0], [0, 0, 0.1], [5, 0, 0], [5, 0, 0], [5, 0.1, 0], [5, 0, 0.1]], dtype=float)
    hierarchy = build_hierarchy(few, (2, 4))
    assert hierarchy.branching == (2, 3)
    assert len(hierarchy.leaf_centers) == 5
    np.testing.assert_allclose(hierarchy.leaf_centers[hierarchy.assign(few)], few, atol=1e-9)


def test_same_seed_same_hierarchy() -> None:
    one, same, other = (build_hierarchy(POINTS, (4, 4), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.leaf_centers, same.leaf_centers)
    assert not np.allclose(one.leaf_centers, other.leaf_centers)


def test_joined_scenes_keep_their_leaves_even_where_they_overlap() -> None:
    parts = [build_hierarchy(POINTS[i::3], (3 + i, 4), seed=i) for i in range(3)]
    joined = join_hierarchies(parts)
    assert joined.branching == (3 + 4 + 5, 4)
    start, nodes = 0, 0
    for place, part in enumerate(parts):
        leaves = joined.assign(POINTS[:300], place)
        np.testing.assert_array_equal(leaves - start, part.assign(POINTS[:300]))
        assert (joined.places(leaves) == place).all()
        expected = part.paths(part.assign(POINTS[:300])) + np.array([nodes, 0])
        np.testing.assert_array_equal(joined.paths(leaves), expected)
        start, nodes = start + len(part.leaf_centers), nodes + part.branching[0]
    assert start == len(joined.leaf_centers)
    again = join_hierarchies([join_hierarchies(parts[:2]), parts[2]])
    np.testing.assert_array_equal(again.assign(POINTS[:50], 2), joined.assign(POINTS[:50], 2))


@pytest.mark.parametrize("depth", [0, 1])
def test_shallow_hierarchies_tell_scenes_too(depth: int) -> None:
    joined = join_hierarchies([build_hierarchy(POINTS, (4,) * depth), build_hierarchy(POINTS + 9, (4,) * depth)])
    leaves = np.arange(len(joined.leaf_centers), dtype=np.int32)
    np.testing.assert_array_equal(joined.places(leaves), leaves // 4**depth)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build_hierarchy(np.empty((0, 3))), "N > 0"),
        (lambda: build_hierarchy(np.full((5, 3), np.nan)), "finite"),
        (lambda: build_hierarchy(POINTS, (5, 0)), "must be positive"),
        (lambda: join_hierarchies([]), "0 to join"),
        (lambda: join_hierarchies([build_hierarchy(POINTS, (2,)), build_hierarchy(POINTS, ())]), r"\[0, 1\]"),
        (lambda: Hierarchy(np.zeros((1, 3)), (POINTS[:3],), (np.array([0, 2], dtype=np.int32),)), "share out the 3"),
        (lambda: Hierarchy(np.zeros((1, 3)), (POINTS[:3],), ()), "0 levels have children"),
    ],
)
def test_what_makes_no_hierarchy(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
