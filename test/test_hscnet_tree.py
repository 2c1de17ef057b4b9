"""The hierarchy's tables on the network's device: leaves and paths as the hierarchy itself finds them."""

import numpy as np
import pytest
import torch

from vloc_ros.mapping.hierarchy import Hierarchy, build_hierarchy, join_hierarchies
from vloc_ros.training.hscnet.tree import Tree

POINTS = np.random.default_rng(0).uniform((-2, -1, 10), (2, 1, 13), (3000, 3))
HIERARCHIES = {
    "even": build_hierarchy(POINTS, (5, 6, 4)),
    "one level": build_hierarchy(POINTS, (30,)),
    "ragged": build_hierarchy(POINTS[:40], (4, 20)),
    "joined": join_hierarchies([build_hierarchy(POINTS[i::3] + i, (3 + i, 4), seed=i) for i in range(3)]),
    "joined and ragged": join_hierarchies([build_hierarchy(POINTS, (4, 6)), build_hierarchy(POINTS[:9], (3, 6))]),
    "no levels": build_hierarchy(POINTS, ()),
    "joined without levels": join_hierarchies([build_hierarchy(POINTS, ()), build_hierarchy(POINTS + 9, ())]),
}


@pytest.fixture(params=HIERARCHIES)
def hierarchy(request: pytest.FixtureRequest) -> Hierarchy:
    return HIERARCHIES[request.param]


def test_leaves_and_paths_are_the_hierarchys(hierarchy: Hierarchy) -> None:
    rng = np.random.default_rng(1)
    places = np.arange(6) % len(hierarchy.roots)
    coordinates = rng.uniform((-2.5, -1.5, 9), (3.5, 2.5, 15), (6, 7, 9, 3))
    paths, leaves = Tree(hierarchy).assign(torch.from_numpy(coordinates), torch.from_numpy(places))
    assert paths.shape == (6, hierarchy.depth, 7, 9)
    assert leaves.shape == (6, 7, 9)
    assert paths.dtype == leaves.dtype == torch.int64
    for index, place in enumerate(places.tolist()):
        expected = hierarchy.assign(coordinates[index].reshape(-1, 3), place).reshape(7, 9)
        np.testing.assert_array_equal(leaves[index], expected)
        np.testing.assert_array_equal(paths[index].permute(1, 2, 0), hierarchy.paths(expected))


def test_what_is_unknown_gets_a_leaf_and_spoils_no_other(hierarchy: Hierarchy) -> None:
    tree = Tree(hierarchy)
    coordinates = torch.from_numpy(POINTS[:60].reshape(1, 6, 10, 3))
    places = torch.zeros(1, dtype=torch.int64)
    spoiled = coordinates.clone()
    spoiled[0, 2] = torch.nan
    spoiled[0, 3, :, 1] = torch.inf
    (_, expected), (paths, leaves) = (tree.assign(values, places) for values in (coordinates, spoiled))
    known = spoiled.isfinite().all(dim=-1)
    assert torch.equal(leaves[known], expected[known])
    assert 0 <= leaves.min() <= leaves.max() < len(hierarchy.leaf_centers)
    if hierarchy.depth:
        assert paths.min() >= 0
        assert (paths.amax(dim=(0, 2, 3)) < torch.tensor(hierarchy.branching)).all()


def test_coordinates_of_float32_lose_nothing_to_it() -> None:
    """Distances are compared with all digits, whatever the coordinates have."""
    hierarchy = build_hierarchy(POINTS + 1000, (5, 6))
    coordinates = (POINTS + 1000).astype(np.float32).reshape(1, 30, 100, 3)
    _, leaves = Tree(hierarchy).assign(torch.from_numpy(coordinates), torch.zeros(1, dtype=torch.int64))
    expected = hierarchy.assign(coordinates.reshape(-1, 3).astype(np.float64))
    np.testing.assert_array_equal(leaves.numpy().ravel(), expected)


def test_tables_are_no_part_of_what_is_learned(hierarchy: Hierarchy) -> None:
    tree = Tree(hierarchy)
    assert not tree.state_dict()
    np.testing.assert_array_equal(tree.centers, hierarchy.leaf_centers.astype(np.float32))
    for level, first in enumerate(hierarchy.first):
        np.testing.assert_array_equal(tree.first(level), first)
    assert tree.branching == hierarchy.branching


def test_only_levels_of_unequal_nodes_are_ragged() -> None:
    assert Tree(HIERARCHIES["even"]).ragged == [False, False, False]
    assert Tree(HIERARCHIES["joined"]).ragged == [False, False]
    assert Tree(HIERARCHIES["joined and ragged"]).ragged == [False, True]
