"""The fused and the sampled surface lie where the scene is, face the camera and are one voxel thin."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from support.mapping_scenes import VOXEL, WallAndBox, views

from vloc_ros.datasets.registration import undistort_depth
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.mapping.mesh import surface_from_mesh
from vloc_ros.mapping.surface import Surface, fuse_depth
from vloc_ros.mapping.voxels import build_table, cells_of, find, keys_of


def _distance_to_scene(points: np.ndarray) -> np.ndarray:
    """Distance to the wall or the box of mapping_scenes, whichever is nearer."""
    wall = np.abs(points[:, 1] - 2.0)
    outside = np.abs(points - (0.0, 1.4, 0.0)) - (0.3, 0.2, 0.3)
    box = np.abs(np.linalg.norm(outside.clip(min=0), axis=1) + outside.max(axis=1).clip(max=0))
    nearest: np.ndarray = np.minimum(wall, box)
    return nearest


@pytest.fixture(scope="module")
def exact() -> Surface:
    return fuse_depth(WallAndBox(views()), VOXEL)


def test_exact_depth_gives_the_scene(exact: Surface) -> None:
    distance = _distance_to_scene(exact.points)
    assert np.median(distance) < 0.001
    assert np.quantile(distance, 0.99) < VOXEL
    wall = np.abs(exact.points[:, 1] - 2.0) < 0.01
    assert np.median(exact.normals[wall] @ (0.0, -1.0, 0.0)) > 0.999, "normals face the camera"
    np.testing.assert_allclose(exact.colors, 128 / 255, atol=1e-6)


def test_one_point_per_voxel_in_a_fixed_order(exact: Surface) -> None:
    again = fuse_depth(WallAndBox(views()), VOXEL)
    np.testing.assert_array_equal(exact.points, again.points)
    assert len(np.unique(cells_of(exact.points, VOXEL), axis=0)) == len(exact)


def test_noise_leaves_a_thin_surface() -> None:
    noisy = fuse_depth(WallAndBox(views(), noise=0.008), VOXEL)  # 2.5 cm at the wall's middle, more than a voxel
    wall = np.abs(noisy.points[:, 1] - 2.0) < 0.1
    wall &= (np.abs(noisy.points[:, [0, 2]]) < 1.0).all(axis=1)
    assert noisy.points[wall, 1].std() < 0.5 * VOXEL
    layers = wall.sum() / len(np.unique(np.floor(noisy.points[wall][:, [0, 2]] / VOXEL), axis=0))
    assert layers < 1.3


def test_depth_mixed_at_edges_is_dropped() -> None:
    mixed = fuse_depth(WallAndBox(views(), blur=3), VOXEL)  # a 3 x 3 mean hangs pixels between box and wall
    assert np.quantile(_distance_to_scene(mixed.points), 0.99) < VOXEL
    assert not ((mixed.points[:, 1] > 1.7) & (mixed.points[:, 1] < 1.9)).any()


def test_progress_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    fuse_depth(WallAndBox(views(3)), VOXEL, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_no_depth_is_an_error() -> None:
    with pytest.raises(DatasetError, match="no depth"):
        fuse_depth(WallAndBox(views(3), has_depth=False), VOXEL)
    away = tuple(np.diag([-1.0, -1.0, 1.0, 1.0]) @ pose for pose in views(3))
    with pytest.raises(DatasetError, match="no usable depth"):
        fuse_depth(WallAndBox(away), VOXEL)


def test_undistorted_depth_is_never_mixed() -> None:
    camera = Camera(64, 48, 60.0, 60.0, 31.5, 23.5, (-0.3, 0.1, 0.0, 0.0))
    depth = np.ones((48, 64), dtype=np.float32)
    depth[:, 32:] = 3.0
    assert set(np.unique(undistort_depth(camera, depth))) <= {0.0, 1.0, 3.0}
    assert undistort_depth(camera.undistorted(), depth) is depth


@pytest.mark.parametrize("suffix", ["ply", "obj", "stl"])
def test_a_mesh_is_sampled_evenly(tmp_path: Path, suffix: str) -> None:
    mesh = trimesh.creation.box((1.0, 0.6, 0.4))
    mesh.apply_translation((0.011, 0.013, 0.017))  # not on the grid, where faces would lie between two layers
    mesh.visual.vertex_colors = (255, 0, 0, 255)
    mesh.export(tmp_path / f"box.{suffix}")
    surface = surface_from_mesh(tmp_path / f"box.{suffix}", VOXEL)
    outside = np.abs(surface.points - (0.011, 0.013, 0.017)) - (0.5, 0.3, 0.2)
    assert np.abs(outside.max(axis=1)).max() < VOXEL
    assert len(surface) == pytest.approx(mesh.area / VOXEL**2, rel=0.1)
    if suffix == "ply":
        np.testing.assert_allclose(surface.colors, np.tile([1.0, 0.0, 0.0], (len(surface), 1)))


def test_what_is_no_mesh_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        surface_from_mesh(tmp_path / "none.ply")
    (tmp_path / "empty.ply").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"empty\.ply"):
        surface_from_mesh(tmp_path / "empty.ply")
    trimesh.PointCloud(np.eye(3)).export(tmp_path / "points.ply")  # type: ignore[no-untyped-call]
    with pytest.raises(DatasetError, match=r"points\.ply"):
        surface_from_mesh(tmp_path / "points.ply")


def test_the_hash_table_finds_what_was_put_in() -> None:
    cells = np.unique(np.random.default_rng(0).integers(-50, 50, (5000, 3)), axis=0)
    keys, rows = build_table(keys_of(cells))
    for row in range(0, len(cells), 50):
        assert find(keys, rows, keys_of(cells[row : row + 1])[0]) == row
    assert find(keys, rows, keys_of(np.array([[50, 0, 0]]))[0]) == -1


def test_points_too_far_out_are_refused() -> None:
    with pytest.raises(ConfigError, match="too far"):
        cells_of(np.array([[1e9, 0.0, 0.0]]), 0.02)
    with pytest.raises(ConfigError, match="too far"):
        cells_of(np.array([[np.nan, 0.0, 0.0]]), 0.02)
