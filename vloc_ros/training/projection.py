"""Where things are in warped images: points of the map to pixels, cells to rays."""

import torch
from torch import Tensor

NEAR = 1e-6  # as `Camera.project` has it


def cell_centers(height: int, width: int, stride: int, device: torch.device) -> Tensor:
    """Pixels (height, width, 2), x and y, of the centres of output cells."""
    y = torch.arange(height, device=device)[:, None].expand(height, width)
    x = torch.arange(width, device=device).expand(height, width)
    return torch.stack([x, y], dim=-1) * stride + (0.5 * stride - 0.5)


def project(points: Tensor, map_from_camera: Tensor, warped_from_camera: Tensor) -> Tensor:
    """Where points (K, 3) of the map are in the warped images of B cameras: (B, K, 2) float32, NaN behind either
    camera; map_from_camera (B, 4, 4), warped_from_camera (B, 3, 3) as in Batch."""
    in_camera = (points - map_from_camera[:, None, :3, 3]) @ map_from_camera[:, :3, :3]
    warped = in_camera @ warped_from_camera.mT
    seen = (in_camera[..., 2:] > NEAR) & (warped[..., 2:] > NEAR * in_camera[..., 2:])
    return torch.where(seen, warped[..., :2] / warped[..., 2:], torch.nan).float()


def rays(height: int, width: int, stride: int, warped_from_camera: Tensor) -> Tensor:
    """Where the centres of output cells are seen at depth 1, (B, height, width, 3), whatever warped the images."""
    pixels = cell_centers(height, width, stride, warped_from_camera.device).to(warped_from_camera)
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1).view(1, -1, 3)
    directions = homogeneous @ torch.linalg.inv(warped_from_camera).mT
    at_depth_one: Tensor = directions / directions[..., 2:]
    return at_depth_one.view(-1, height, width, 3)


def focal_lengths(warped_from_camera: Tensor) -> Tensor:
    """Of warped cameras (B,), pixels: the geometric mean over both axes, on the optical axis."""
    # A homography has no scale of its own; that of a camera, turned or not, has a last row of length 1.
    scales = torch.linalg.vector_norm(warped_from_camera[:, 2], dim=-1)
    areas: Tensor = torch.linalg.det(warped_from_camera).abs() / scales**3
    return areas.sqrt()
