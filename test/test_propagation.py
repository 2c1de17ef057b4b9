"""Labels spread from known cells over squares."""

import numpy as np
import pytest

from vloc_ros.mapping.propagation import propagate


@pytest.mark.parametrize("reach", [0, 1, 3, 5])
def test_labels_spread_over_squares_from_the_nearest(reach: int) -> None:
    known = np.random.default_rng(reach).random((30, 40)) < 0.02
    assert known.any()
    rows, columns, reached = propagate(known, reach)
    sources = np.argwhere(known)
    for cell in np.ndindex(known.shape):
        distances = np.abs(sources - cell).max(axis=1)
        assert reached[cell] == (distances.min() <= reach)
        if reached[cell]:
            assert known[rows[cell], columns[cell]]
            assert max(abs(rows[cell] - cell[0]), abs(columns[cell] - cell[1])) == distances.min()
    np.testing.assert_array_equal(np.stack([rows[known], columns[known]], axis=1), sources)


def test_nothing_known_nothing_spread() -> None:
    assert not propagate(np.zeros((4, 5), dtype=bool), 3)[2].any()
