"""Matching by descriptors alone, against a slow reference."""

import numpy as np
import pytest
from support.sparse_scenes import unit

from vloc_ros.methods.pram.matching import mutual_nearest


def slow_mutual_nearest(a: np.ndarray, b: np.ndarray, least: float) -> set[tuple[int, int]]:
    similarities = a @ b.T
    pairs = enumerate(similarities.argmax(axis=1).tolist())
    return {(i, j) for i, j in pairs if similarities[:, j].argmax() == i and similarities[i, j] >= least}


@pytest.mark.parametrize(("count", "references"), [(1, 1), (7, 3), (100, 255), (100, 257), (300, 1500)])
@pytest.mark.parametrize("least", [-1.0, 0.3, 0.9])
def test_as_a_slow_reference(count: int, references: int, least: float) -> None:
    rng = np.random.default_rng(count + references)
    a, b = unit(rng, count, 16), unit(rng, references, 16)
    b[: min(count, references) // 2] = a[: min(count, references) // 2]
    rows, matched, similarities = mutual_nearest(a, b, least)
    assert similarities == pytest.approx((a[rows] * b[matched]).sum(axis=1), abs=1e-5)
    assert set(zip(rows.tolist(), matched.tolist(), strict=True)) == slow_mutual_nearest(a, b, least)
    assert rows.tolist() == sorted(rows.tolist())
    assert len(set(matched.tolist())) == len(matched)


def test_nothing_to_match() -> None:
    some, none = unit(np.random.default_rng(0), 5, 16), np.empty((0, 16), np.float32)
    for a, b in ((some, none), (none, some), (none, none)):
        rows, matched, _ = mutual_nearest(a, b, -1.0)
        assert (len(rows), len(matched)) == (0, 0)
