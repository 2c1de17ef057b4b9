"""What training minimises: VS-Net's overall loss (equation 4) of one batch, in one module that holds all parameters."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vloc_ros.training.batches import Batch
from vloc_ros.training.losses import direction_l1, offset_l1, scale_likelihood, segmentation_loss
from vloc_ros.training.map_options import LossWeights, Preset
from vloc_ros.training.networks import PRESETS, VSNet, VSNetOutput

# The usual ImageNet statistics, of 255: what pretrained encoders expect.
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


class Normalize(nn.Module):
    """uint8 RGB images (B, H, W, 3) to normalised (B, 3, H, W); part of the exported graph."""

    def __init__(self) -> None:
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", 1 / torch.tensor(PIXEL_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        # Permuting a (B, H, W, 3) tensor gives channels-last memory, which the convolutions want anyway.
        normalized: Tensor = (images.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) * self.scale
        return normalized


class VSNetObjective(nn.Module):
    """Network, prototypes (K, E) and loss."""

    def __init__(self, preset: Preset, prototypes: Tensor, weights: LossWeights, stride: int):
        super().__init__()
        self.normalize = Normalize()
        self.network: VSNet = PRESETS[preset](prototypes.shape[1], stride)
        self.prototypes = nn.Parameter(prototypes)
        self.weights = weights
        self._run_network: Callable[[Tensor], VSNetOutput] = self.network.forward

    def compile_network(self, backend: str | Callable[..., Any]) -> None:
        """Run the network through torch.compile from now on; what fails, fails at the next batch."""
        self._run_network = torch.compile(self.network.forward, backend=backend)

    def run_eagerly(self) -> None:
        """Run the network as it is written."""
        self._run_network = self.network.forward

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss by name: segmentation, direction, offset, scale, and total."""
        output = self._run_network(self.normalize(batch.images))
        with torch.autocast(batch.images.device.type, enabled=False):  # cosines at a low temperature need all digits
            precise = (values.to(torch.promote_types(values.dtype, torch.float32)) for values in output)
            return self._losses(VSNetOutput(*precise), batch)

    def _losses(self, output: VSNetOutput, batch: Batch) -> dict[str, Tensor]:
        segmentation = self._segmentation(output.embeddings, batch.labels)
        targets, counts = _targets(batch, self.network.stride)
        offsets = output.offsets.permute(0, 2, 3, 1)
        direction = direction_l1(offsets, targets, counts)
        offset = offset_l1(offsets, targets, counts)
        scale = scale_likelihood(offsets, targets, output.log_scales, counts)
        weights = self.weights
        total = segmentation + weights.direction * direction + weights.offset * offset + weights.scale * scale
        return {"segmentation": segmentation, "direction": direction, "offset": offset, "scale": scale, "total": total}

    def _segmentation(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Of embeddings (B, E, h, w), where labels (B, h, w) are not 0."""
        foreground = labels.flatten().nonzero().squeeze(1)  # the one place where a GPU is waited for
        landmark = labels.flatten().index_select(0, foreground) - 1
        image = foreground // labels[0].numel()
        chosen = embeddings.permute(0, 2, 3, 1).flatten(0, 2).index_select(0, foreground)
        return segmentation_loss(self.weights.segmentation, chosen, landmark, image, self.prototypes)


def _targets(batch: Batch, stride: int) -> tuple[Tensor, Tensor]:
    """Offsets (B, h, w, 2) in network pixels from each cell to its landmark, and which of them (B, h, w) count.

    A landmark behind the warped camera is nowhere to point to.
    """
    count, height, width = batch.labels.shape
    device = batch.labels.device
    y = torch.arange(height, device=device)[:, None].expand(height, width)
    x = torch.arange(width, device=device).expand(height, width)
    cells = torch.stack([x, y], dim=-1) * stride + (0.5 * stride - 0.5)
    landmark = (batch.labels - 1).clamp_min(0).view(count, -1, 1).expand(-1, -1, 2)
    targets = batch.landmark_pixels.gather(1, landmark).view(count, height, width, 2) - cells
    counts = (batch.labels > 0) & targets.isfinite().all(dim=-1)
    return torch.where(counts[..., None], targets, 0), counts
