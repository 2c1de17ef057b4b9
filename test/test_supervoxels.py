"""Patches keep to one side of an edge, do not jump gaps, are of similar size and number as asked."""

import numpy as np
import pytest
from support.mapping_scenes import VOXEL, joined, plane

from vloc_ros.errors import ConfigError
from vloc_ros.mapping.supervoxels import segment, segment_to_count

FLOOR = plane((0.011, 0.011, 0.01), (2, 0, 0), (0, 2, 0), (0, 0, 1))
WALL = plane((0.011, 0.01, 0.031), (2, 0, 0), (0, 0, 2), (0, 1, 0))


def _mixed(patch: np.ndarray, side: np.ndarray) -> float:
    """Share of the points that are in a patch with the other side's majority."""
    valid = patch >= 0
    share = np.bincount(patch[valid], side[valid]) / np.bincount(patch[valid])
    return float(np.mean(np.minimum(share, 1 - share)[patch[valid]]))


@pytest.mark.parametrize("size", [0.1, 0.2, 0.3])
def test_patches_do_not_cross_an_edge(size: float) -> None:
    corner = joined(FLOOR, WALL)
    patch = segment(corner, size)
    assert (patch >= 0).all()
    assert _mixed(patch, corner.normals[:, 1] > 0.5) < 0.005


def test_patches_do_not_cross_a_gap() -> None:
    behind = plane((0.011, 0.011, 0.07), (2, 0, 0), (0, 2, 0), (0, 0, 1))  # two empty voxels between the sheets
    sheets = joined(FLOOR, behind)
    patch = segment(sheets, 0.2)
    assert (patch >= 0).mean() > 0.99
    assert _mixed(patch, sheets.points[:, 2] > 0.04) == 0.0


def test_patches_do_not_cross_a_colour_step() -> None:
    red = plane((2.011, 0.011, 0.01), (1, 0, 0), (0, 2, 0), (0, 0, 1), color=(0.9, 0.1, 0.1))
    both = joined(FLOOR, red)
    assert _mixed(segment(both, 0.2), both.colors[:, 1] < 0.2) < 0.03


@pytest.mark.parametrize("tilt", [0.0, 0.5, 0.8])
def test_patches_are_of_similar_size_whatever_the_slope(tilt: float) -> None:
    slope = plane(
        (0.011, 0.012, 0.013), (2, 0, 0), (0, 2 * np.cos(tilt), 2 * np.sin(tilt)), (0, -np.sin(tilt), np.cos(tilt))
    )
    patch = segment(slope, 0.2)
    count = np.bincount(patch)
    assert count.std() / count.mean() < 0.4
    assert 2 * 2 / 0.2**2 * 0.6 < len(count) < 2 * 2 / 0.2**2 * 1.5


def test_patches_are_connected_and_compact() -> None:
    corner = joined(FLOOR, WALL)
    patch = segment(corner, 0.2)
    assert set(np.unique(patch)) == set(range(patch.max() + 1))
    for k in range(patch.max() + 1):
        points = corner.points[patch == k]
        assert np.linalg.norm(points - points.mean(axis=0), axis=1).max() < 0.25


def test_specks_belong_to_no_patch() -> None:
    speck = plane((1.0, 1.0, 1.0), (0.05, 0, 0), (0, 0.05, 0), (0, 0, 1))
    both = joined(FLOOR, speck)
    patch = segment(both, 0.2)
    assert (patch[both.points[:, 2] > 0.5] == -1).all()
    assert (patch[both.points[:, 2] < 0.5] >= 0).all()


def test_the_same_surface_gives_the_same_patches() -> None:
    np.testing.assert_array_equal(segment(FLOOR, 0.15), segment(FLOOR, 0.15))


@pytest.mark.parametrize("count", [40, 200])
def test_the_count_is_met(count: int) -> None:
    patch, size = segment_to_count(joined(FLOOR, WALL), count)
    assert patch.max() + 1 == pytest.approx(count, rel=0.1)
    assert 3 * VOXEL <= size < 1


def test_impossible_requests() -> None:
    with pytest.raises(ConfigError, match="three voxels"):
        segment(FLOOR, 0.03)
    with pytest.raises(ConfigError, match="at least 1"):
        segment_to_count(FLOOR, 0)
