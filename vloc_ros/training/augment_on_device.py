"""The augmentation of `augment` in torch, a whole batch at a time: a GPU that trains makes its batches too."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vloc_ros.mapping.novel_views import GREY
from vloc_ros.training.augment import COLOR, NO_OCCLUDER, NOISE, Changes, covered_cells, label_warps
from vloc_ros.training.projection import NEAR

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue, as OpenCV has it
OUTSIDE = -1e6  # a pixel that is in no image


@dataclass(frozen=True)
class DeviceChanges:
    """`Changes` of B images as tensors (B, ...) on a device, the warps inverted."""

    pixels_from_warped: Tensor  # (B, 3, 3)
    labels_from_cells: Tensor  # (B, 3, 3), to pixels of the label images
    blurred: Tensor
    gains: Tensor
    offsets: Tensor
    noise: Tensor
    kinds: Tensor
    boxes: Tensor
    parts: Tensor
    colors: Tensor
    grey: Tensor
    cells: Tensor  # (B, 4) top, left, bottom, right of the cells behind the occluder


@dataclass(frozen=True)
class Packed:
    """Arrays (B, ...) side by side as (B, columns) float64: one copy, for which nobody waits, moves them all."""

    values: Tensor
    shapes: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(arrays: Sequence[NDArray[Any]], device: torch.device) -> "Packed":
        """Ready to be copied to `device`."""
        columns = [np.asarray(array, dtype=np.float64).reshape(len(array), -1) for array in arrays]
        values = torch.from_numpy(np.concatenate(columns, axis=1))
        return Packed(staged(values, device), tuple(array.shape for array in arrays))

    def on(self, device: torch.device) -> list[Tensor]:
        """The arrays there."""
        widths = [math.prod(shape[1:]) for shape in self.shapes]
        parts = torch.split(self.values.to(device, non_blocking=True), widths, dim=1)
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]


def staged(values: Tensor, device: torch.device) -> Tensor:
    """Values on the CPU, where copying them to `device` needs no waiting."""
    return values.pin_memory() if device.type == "cuda" else values


def columns_of(changes: Changes, image: tuple[int, int], labels: tuple[int, int], stride: int) -> list[NDArray[Any]]:
    """The arrays behind DeviceChanges, in its order; shapes are heights and widths."""
    height, width = image
    light, occluders = changes.light, changes.occluders
    cells = covered_cells(occluders.boxes, image, (height // stride, width // stride))
    return [
        np.linalg.inv(changes.warps),
        np.linalg.inv(label_warps(changes.warps, labels, width, height, stride)),
        light.blurred, light.gains, light.offsets, light.noise,
        occluders.kinds, occluders.boxes, occluders.parts, occluders.colors, changes.grey, cells,
    ]  # fmt: skip


def warp_images(images: Tensor, pixels_from_warped: Tensor) -> Tensor:
    """Images (B, H, W, 3) uint8 under homographies: (B, 3, H, W) float32, whole numbers, plain grey outside."""
    height, width = images.shape[1:3]
    x, y = _sources(pixels_from_warped, height, width).unbind(dim=-1)
    grid = torch.stack([x * (2 / (width - 1)) - 1, y * (2 / (height - 1)) - 1], dim=-1).float()
    # zeros outside of the difference to grey are grey outside of the image
    shifted = images.permute(0, 3, 1, 2).float() - GREY
    warped = F.grid_sample(shifted, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return (warped + GREY).round()


def warp_cells(cells: Tensor, cells_from_targets: Tensor, height: int, width: int) -> Tensor:
    """Labels or measures (B, h, w, ...) under homographies, read at height x width cells: nearest neighbour, nothing
    outside; integers become int64."""
    count, rows, columns = cells.shape[:3]
    x, y = _sources(cells_from_targets, height, width).round().long().unbind(dim=-1)
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    index = (y * columns + x).masked_fill(~inside, 0)
    images = torch.arange(count, device=cells.device)[:, None, None]
    found = cells.flatten(1, 2)[images, index]
    found = found if found.is_floating_point() else found.long()
    return _without(found, ~inside)


def _without(cells: Tensor, hidden: Tensor) -> Tensor:
    """Cells (B, h, w, ...) with nothing where hidden (B, h, w)."""
    hidden = hidden.view(*hidden.shape, *(1 for _ in cells.shape[3:]))
    return cells.masked_fill(hidden, torch.nan if cells.is_floating_point() else 0)


def _sources(sources_from_targets: Tensor, height: int, width: int) -> Tensor:
    """Where each target pixel comes from, x and y (B, height, width, 2) float64: with fewer digits, which matrix
    products on a GPU may have, pixels would be off."""
    device = sources_from_targets.device
    y = torch.arange(height, dtype=torch.float64, device=device)[:, None].expand(height, width)
    x = torch.arange(width, dtype=torch.float64, device=device).expand(height, width)
    targets = torch.stack([x, y, torch.ones_like(x)], dim=-1).view(1, -1, 3)
    sources = (targets @ sources_from_targets.mT).view(-1, height, width, 3)
    depth = sources[..., 2:]
    return torch.where(depth > NEAR, sources[..., :2] / depth, OUTSIDE)


def alter_light(images: Tensor, changes: DeviceChanges, generator: torch.Generator) -> Tensor:
    """Images (B, 3, H, W) float32 under other light: (B, H, W, 3) uint8."""
    blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), 3, stride=1).round()
    images = torch.where(_wide(changes.blurred > 0), blurred, images).permute(0, 2, 3, 1)
    noise = torch.randn(images.shape, device=images.device, generator=generator)
    gains = changes.gains.float()[:, None, None, :]
    altered = images * gains + _wide(changes.offsets.float()) + _wide(changes.noise.float()) * noise
    return altered.clamp(0, 255).to(torch.uint8)


def occlude(images: Tensor, cells: Tensor, changes: DeviceChanges, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (B, H, W, 3) uint8 behind their occluders; the cells (B, h, w, ...) that these cover show nothing."""
    count, height, width, _ = images.shape
    kinds = _wide(changes.kinds.long())
    top, left, box_height, box_width = (_wide(v) for v in changes.boxes.long().unbind(dim=1)[:4])
    row, column = _grid(height, width, images.device)
    bottom, right = top + box_height, left + box_width
    covered = _inside(row, column, top, left, bottom, right)[..., None] & (kinds != NO_OCCLUDER)

    part_top, part_left = (_wide(v) for v in changes.parts.long().unbind(dim=1))
    v = (row[..., None] - top + part_top).clamp(0, height - 1)
    u = (column[..., None] - left + part_left).clamp(0, width - 1)
    index = (v * width + u).view(count, -1, 1).expand(-1, -1, 3)
    filled = images.view(count, -1, 3).gather(1, index).view_as(images)
    colors = changes.colors.to(torch.uint8)[:, None, None, :]
    noise = torch.randint(0, 256, images.shape, dtype=torch.uint8, device=images.device, generator=generator)
    filled = torch.where(kinds == COLOR, colors, torch.where(kinds == NOISE, noise, filled))

    row, column = _grid(cells.shape[1], cells.shape[2], images.device)
    box = (value[:, None, None] for value in changes.cells.unbind(dim=1))
    hidden = _inside(row, column, *box) & (kinds[..., 0] != NO_OCCLUDER)
    return torch.where(covered, filled, images), _without(cells, hidden)


def to_grayscale(images: Tensor, grey: Tensor) -> Tensor:
    """Images (B, H, W, 3) uint8, those where grey (B,) with their luminance in all three channels."""
    luminance = (images.float() * torch.tensor(LUMINANCE, device=images.device)).sum(dim=-1, keepdim=True)
    return torch.where(_wide(grey > 0), luminance.round().to(torch.uint8), images)


def _grid(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows (1, height, 1) and columns (1, 1, width)."""
    return torch.arange(height, device=device)[None, :, None], torch.arange(width, device=device)[None, None, :]


def _inside(row: Tensor, column: Tensor, top: Tensor, left: Tensor, bottom: Tensor, right: Tensor) -> Tensor:
    top, left, bottom, right = (bound.view(-1, 1, 1) for bound in (top, left, bottom, right))
    return (row >= top) & (row < bottom) & (column >= left) & (column < right)


def _wide(values: Tensor) -> Tensor:
    """(B,) as (B, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)
