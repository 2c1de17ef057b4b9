"""Rows and columns that prefer each other, against both maxima searched one by one."""

import numpy as np
import pytest

from vloc_ros.core.mutual_best import mutual_best

SHAPES = [(1, 1), (7, 3), (40, 60), (0, 4)]


@pytest.mark.parametrize("shape", SHAPES)
def test_they_are_the_mutual_maxima(shape: tuple[int, int]) -> None:
    similarities = np.random.default_rng(0).permutation(shape[0] * shape[1]).reshape(shape).astype(np.float32)
    rows, columns, best = mutual_best(similarities)
    there, back = similarities.argmax(axis=1), similarities.argmax(axis=0) if len(similarities) else np.zeros(4, int)
    expected = [(row, column) for row, column in enumerate(there.tolist()) if back[column] == row]
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == expected
    np.testing.assert_array_equal(best, similarities[rows, columns])


@pytest.mark.parametrize("shape", SHAPES)
def test_of_equal_entries_none_is_taken_twice(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        similarities = rng.integers(0, 3, shape).astype(np.float32)
        rows, columns, best = mutual_best(similarities)
        assert len(set(rows.tolist())) == len(set(columns.tolist())) == len(rows)
        assert len(rows) > 0 or not len(similarities)
        for row, column, value in zip(rows, columns, best, strict=True):
            assert value == similarities[row].max() == similarities[:, column].max()
