"""Hierarchical clustering on the ground plane: the asked number, Ward's own choice, the vertical direction."""

import numpy as np
import pytest

from vloc_ros.errors import ConfigError
from vloc_ros.mapping.ground_clusters import cluster, on_ground, vertical_direction

Float = np.typing.NDArray[np.float64]


def rotation(axis: tuple[float, float, float], degrees: float) -> Float:
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.asarray(np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k)


def looking(yaw_deg: float, pitch_deg: float, map_from_level: Float) -> Float:
    """The pose of a level camera that is turned about the vertical and then nods, in a map with any axes."""
    level = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # x right, y down, z forward, in axes with z up
    pose = np.eye(4)
    pose[:3, :3] = map_from_level @ rotation((0, 0, 1), yaw_deg) @ level @ rotation((1, 0, 0), pitch_deg)
    return pose


@pytest.mark.parametrize("count", [1, 7, 64])
@pytest.mark.parametrize("points", [300, 6000])
def test_there_are_as_many_clusters_as_are_asked_for(points: int, count: int) -> None:
    spots = np.random.default_rng(points).normal(0, (5, 2), (points, 2))
    labels = cluster(spots, count)
    assert labels.dtype == np.int32
    assert sorted(set(labels.tolist())) == list(range(count))


def test_spots_that_are_fewer_than_the_clusters_are_one_each() -> None:
    spots = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], 5, axis=0)
    labels = cluster(spots, 10)
    assert len(set(labels.tolist())) == 3
    assert all(len(set(labels[5 * k : 5 * k + 5].tolist())) == 1 for k in range(3))


def test_clusters_far_apart_are_found() -> None:
    rng = np.random.default_rng(0)
    centers = 10 * np.stack(np.meshgrid(np.arange(4), np.arange(3)), axis=-1).reshape(-1, 2)
    truth = rng.integers(0, 12, 5000)
    labels = cluster(centers[truth] + rng.normal(0, 0.5, (5000, 2)), 12)
    assert len(set(zip(truth.tolist(), labels.tolist(), strict=True))) == 12


def test_merging_is_ward_s() -> None:
    """On so few points that each is in a cell of its own: agreement with the slow definition."""
    points = np.random.default_rng(1).uniform(0, 1, (40, 2))
    groups = [[k] for k in range(40)]

    def spread(rows: list[int]) -> float:
        return float(np.square(points[rows] - points[rows].mean(axis=0)).sum())

    while len(groups) > 6:
        pairs = [(a, b) for a in range(len(groups)) for b in range(a)]
        a, b = min(
            pairs, key=lambda p: spread(groups[p[0]] + groups[p[1]]) - spread(groups[p[0]]) - spread(groups[p[1]])
        )
        groups[b] += groups.pop(a)
    labels = cluster(points, 6)
    assert {frozenset(group) for group in groups} == {frozenset(np.flatnonzero(labels == k).tolist()) for k in range(6)}


def test_the_order_of_the_points_does_not_matter() -> None:
    points = np.random.default_rng(2).normal(0, 1, (500, 2))
    order = np.random.default_rng(3).permutation(500)
    assert np.array_equal(cluster(points, 20)[order], cluster(points[order], 20))


def test_no_cluster_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 of them are wanted"):
        cluster(np.zeros((5, 2)), 0)


def test_what_is_above_each_other_is_one_spot_on_the_ground() -> None:
    up = np.array([0.2, -0.9, 0.3])
    up /= np.linalg.norm(up)
    points = np.random.default_rng(4).normal(0, 1, (50, 3))
    assert np.allclose(on_ground(points + 3.0 * up, up), on_ground(points, up))
    flat = points - (points @ up)[:, None] * up
    apart = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    seen = on_ground(points, up)
    assert np.allclose(np.linalg.norm(seen[:, None] - seen[None], axis=2), apart)


@pytest.mark.parametrize("yaws", [(0, 360), (-20, 20), (10, 10.5)], ids=["all around", "one side", "one way"])
def test_up_is_found_in_any_axes(yaws: tuple[float, float]) -> None:
    map_from_level = rotation((1, 0, 0), 75) @ rotation((0, 1, 0), 30)
    nods = zip(np.linspace(*yaws, 40), [-5, 5] * 20, strict=True)
    poses = np.stack([looking(yaw, pitch, map_from_level) for yaw, pitch in nods])
    angle = np.degrees(np.arccos(vertical_direction(poses) @ map_from_level[:, 2]))
    assert angle < 2


def test_cameras_that_look_down_do_not_tilt_it() -> None:
    map_from_level = rotation((1, 0, 0), 75)
    poses = np.stack([looking(yaw, -35, map_from_level) for yaw in np.linspace(-60, 60, 40)])
    assert np.degrees(np.arccos(vertical_direction(poses) @ map_from_level[:, 2])) < 3


def test_a_map_whose_z_is_nearly_up_has_its_z_up() -> None:
    poses = np.stack([looking(yaw, 3, rotation((1, 0, 0), 10)) for yaw in np.linspace(0, 300, 20)])
    assert np.array_equal(vertical_direction(poses), [0, 0, 1])
    with pytest.raises(ConfigError, match="no poses"):
        vertical_direction(poses[:0])
