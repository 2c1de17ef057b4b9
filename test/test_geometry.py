"""Where things are in warped images: projections as the camera has them, and rays that lead back."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.training_scenes import NOTHING
from torch import Tensor

from vloc_ros.geometry.camera import Camera
from vloc_ros.training.augment import Augmentation, calibrations
from vloc_ros.training.projection import cell_centers, focal_lengths, project, rays

WIDTH, HEIGHT, STRIDE, COUNT = 160, 112, 8, 6
CAMERA = Camera(WIDTH, HEIGHT, 150.0, 140.0, 82.0, 53.0)
INTRINSICS = np.tile([CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy], (COUNT, 1))
AUGMENTATIONS = {
    "none": NOTHING,
    "default": Augmentation(),
    "shear": replace(NOTHING, shear_deg=15.0),
    "all": Augmentation(roll_deg=180.0, zoom=(-0.5, 0.4), stretch=0.2, shift=0.2, shear_deg=15.0),
}


def warped(augmentation: Augmentation) -> tuple[np.ndarray, Tensor]:
    """Homographies (B, 3, 3) of pixels, and warped_from_camera."""
    warps = augmentation.draw_warps(INTRINSICS, WIDTH, HEIGHT, np.random.default_rng(0))
    return warps, torch.from_numpy(warps @ calibrations(*INTRINSICS.T))


def poses() -> Tensor:
    torch.manual_seed(0)
    matrices = torch.eye(4, dtype=torch.float64).repeat(COUNT, 1, 1)
    rotations = torch.linalg.qr(torch.randn(COUNT, 3, 3, dtype=torch.float64)).Q
    matrices[:, :3, :3] = rotations * torch.linalg.det(rotations)[:, None, None]
    matrices[:, :3, 3] = torch.randn(COUNT, 3, dtype=torch.float64)
    return matrices


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_points_are_where_the_camera_sees_them_and_the_warp_moves_them(name: str) -> None:
    warps, warped_from_camera = warped(AUGMENTATIONS[name])
    map_from_camera = poses()
    points = torch.from_numpy(np.random.default_rng(1).uniform(-3, 3, (200, 3)))
    found = project(points, map_from_camera, warped_from_camera)
    assert found.shape == (COUNT, 200, 2)
    assert found.dtype == torch.float32
    for index in range(COUNT):
        camera_from_map = np.linalg.inv(map_from_camera[index].numpy())
        pixels, depth = CAMERA.project(points.numpy() @ camera_from_map[:3, :3].T + camera_from_map[:3, 3])
        moved = np.column_stack([pixels, np.ones(200)]) @ warps[index].T
        seen = (depth > 0) & (moved[:, 2] > 0)
        assert 20 < seen.sum() < 180
        assert np.isnan(found[index][~seen].numpy()).all()
        np.testing.assert_allclose(found[index][seen], (moved[:, :2] / moved[:, 2:])[seen], rtol=1e-5, atol=1e-3)


def test_points_that_a_warp_sends_behind_the_camera_are_nowhere() -> None:
    warp = torch.eye(3, dtype=torch.float64)
    warp[2, 0] = -1 / 100  # pixels from x = 100 on
    matrix = torch.from_numpy(CAMERA.matrix)
    points = torch.tensor([[-0.2, -0.3, 1.0], [0.5, -0.3, 1.0], [-0.2, -0.3, -1.0]], dtype=torch.float64)
    found = project(points, torch.eye(4, dtype=torch.float64)[None], (warp @ matrix)[None])[0]
    assert found.isfinite().all(dim=1).tolist() == [True, False, False]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_what_lies_on_a_cells_ray_is_seen_at_its_centre(name: str) -> None:
    _, warped_from_camera = warped(AUGMENTATIONS[name])
    map_from_camera = poses()
    height, width = HEIGHT // STRIDE, WIDTH // STRIDE
    toward = rays(height, width, STRIDE, warped_from_camera)
    assert toward.shape == (COUNT, height, width, 3)
    assert (toward[..., 2] == 1).all()
    centers = cell_centers(height, width, STRIDE, torch.device("cpu")).view(-1, 2)
    for depth in (0.2, 1.0, 30.0):
        for index in range(COUNT):
            in_camera = depth * toward[index].view(-1, 3)
            points = in_camera @ map_from_camera[index, :3, :3].T + map_from_camera[index, :3, 3]
            views = (map_from_camera[index : index + 1], warped_from_camera[index : index + 1])
            torch.testing.assert_close(project(points, *views)[0], centers, rtol=0, atol=1e-3)


def test_centres_of_cells_are_those_of_the_networks_output() -> None:
    """Cell (i, j) lies at x = (j + 0.5) * stride - 0.5."""
    centers = cell_centers(3, 4, 8, torch.device("cpu"))
    assert centers.shape == (3, 4, 2)
    assert centers[2, 1].tolist() == [11.5, 19.5]


def test_focal_lengths_are_the_warped_cameras() -> None:
    """Turned, shifted and sheared it keeps its own; stretched too, in the mean; zoomed it does not."""
    own = np.sqrt(CAMERA.fx * CAMERA.fy)
    turned = Augmentation(roll_deg=180.0, zoom=(0.0, 0.0), stretch=0.3, shift=0.3, shear_deg=20.0)
    np.testing.assert_allclose(focal_lengths(warped(turned)[1]), own)
    zoomed = replace(turned, zoom=(0.4, 0.4))
    np.testing.assert_allclose(focal_lengths(warped(zoomed)[1]), np.exp(0.4) * own)
    scaled = 7.0 * warped(turned)[1]  # the same homography
    np.testing.assert_allclose(focal_lengths(scaled), own)


def test_a_small_turn_is_so_many_pixels_in_the_middle() -> None:
    _, warped_from_camera = warped(AUGMENTATIONS["default"])
    axis = torch.linalg.inv(warped_from_camera) @ torch.tensor([WIDTH / 2, HEIGHT / 2, 1.0]).double()
    axis = axis / axis[:, 2:]
    turn = 1e-4
    for index in range(COUNT):
        beside = torch.stack([axis[index], axis[index] + turn * axis[index].norm() * torch.tensor([1.0, 0, 0])])
        pixels = project(beside, torch.eye(4).double()[None], warped_from_camera[index : index + 1])[0]
        moved = float((pixels[1] - pixels[0]).norm()) / turn
        assert moved == pytest.approx(float(focal_lengths(warped_from_camera)[index]), rel=0.15)
