"""What training minimises: VS-Net's overall loss (equation 4) of one batch, in one module that holds all parameters."""

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

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss by name: segmentation, direction, offset, scale, and total."""
        output = self.network(self.normalize(batch.images))
        with torch.autocast(batch.images.device.type, enabled=False):  # cosines at a low temperature need all digits
            return self._losses(VSNetOutput(*(values.float() for values in output)), batch)

    def _losses(self, output: VSNetOutput, batch: Batch) -> dict[str, Tensor]:
        foreground = batch.labels > 0
        image, row, column = foreground.nonzero(as_tuple=True)
        landmark = batch.labels[foreground] - 1
        embeddings = output.embeddings.permute(0, 2, 3, 1)[foreground]
        segmentation = segmentation_loss(self.weights.segmentation, embeddings, landmark, image, self.prototypes)

        stride = self.network.stride
        cells = torch.stack([column, row], dim=1) * stride + (0.5 * stride - 0.5)
        targets = batch.landmark_pixels[image, landmark] - cells
        ahead = targets.isfinite().all(dim=1)  # a landmark behind the warped camera is nowhere to point to
        offsets = output.offsets.permute(0, 2, 3, 1)[foreground][ahead]
        scales = output.log_scales[foreground][ahead]
        direction = direction_l1(offsets, targets[ahead])
        offset = offset_l1(offsets, targets[ahead])
        scale = scale_likelihood(offsets, targets[ahead], scales)
        weights = self.weights
        total = segmentation + weights.direction * direction + weights.offset * offset + weights.scale * scale
        return {"segmentation": segmentation, "direction": direction, "offset": offset, "scale": scale, "total": total}
