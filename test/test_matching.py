"""Matching by descriptors alone, against a slow reference."""

from collections.abc import Callable

import numpy as np
import pytest
from support.sparse_scenes import unit

from vloc_ros.core.descriptor_index import DescriptorIndex
from vloc_ros.methods.pram.matching import mutual_nearest, mutual_nearest_indexed

Nearest = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray, np.ndarray]]


def indexed(a: np.ndarray, b: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return mutual_nearest_indexed(a, DescriptorIndex.of(b), least)


def slow_mutual_nearest(a: np.ndarray, b: np.ndarray, least: float) -> set[tuple[int, int]]:
    similarities = a @ b.T
    pairs = enumerate(similarities.argmax(axis=1).tolist())
    return {(i, j) for i, j in pairs if similarities[:, j].argmax() == i and similarities[i, j] >= least}


@pytest.mark.parametrize(("count", "references"), [(1, 1), (7, 3), (100, 255), (100, 257), (300, 1500)])
@pytest.mark.parametrize("least", [-1.0, 0.3, 0.9])
@pytest.mark.parametrize("nearest", [mutual_nearest, indexed])
def test_as_a_slow_reference(nearest: Nearest, count: int, references: int, least: float) -> None:
    rng = np.random.default_rng(count + references)
    a, b = unit(rng, count, 40), unit(rng, references, 40)
    b[: min(count, references) // 2] = a[: min(count, references) // 2]
    rows, matched, similarities = nearest(a, b, least)
    assert similarities == pytest.approx((a[rows] * b[matched]).sum(axis=1), abs=1e-5)
    assert set(zip(rows.tolist(), matched.tolist(), strict=True)) == slow_mutual_nearest(a, b, least)
    assert rows.tolist() == sorted(rows.tolist())
    assert len(set(matched.tolist())) == len(matched)


@pytest.mark.parametrize("nearest", [mutual_nearest, indexed])
def test_nothing_to_match(nearest: Nearest) -> None:
    some, none = unit(np.random.default_rng(0), 5, 16), np.empty((0, 16), np.float32)
    for a, b in ((some, none), (none, some), (none, none)):
        rows, matched, _ = nearest(a, b, -1.0)
        assert (len(rows), len(matched)) == (0, 0)
