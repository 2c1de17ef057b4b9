"""VS-Net's overall loss (equation 4)."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vloc_ros.core.model_spec import GridSpec, Precision
from vloc_ros.training.batches import Batch
from vloc_ros.training.objective import Objective, at_least_float32
from vloc_ros.training.projection import cell_centers, project
from vloc_ros.training.vsnet.deploy import DeployedVSNet
from vloc_ros.training.vsnet.losses import direction_l1, offset_l1, scale_likelihood, segmentation_loss
from vloc_ros.training.vsnet.network import PRESETS, VSNet, VSNetOutput
from vloc_ros.training.vsnet.options import LossWeights, VSNetOptions
from vloc_ros.training.vsnet.resnet import load_torchvision_weights


class VSNetObjective(Objective):
    """Network, prototypes (K, E) and loss, for landmarks at `positions` (K, 3) of the map, metres."""

    network: VSNet

    def __init__(self, options: VSNetOptions, positions: NDArray[np.float64], weights: LossWeights):
        prototypes = torch.randn(len(positions), options.embedding)
        super().__init__(self.make_network(options), options.learning_rate)
        self.prototypes = nn.Parameter(prototypes)
        self.positions: Tensor
        self.register_buffer("positions", torch.from_numpy(positions.astype(np.float64)), persistent=False)
        self.weights = weights
        self.pretrained = options.pretrained is not None
        if options.pretrained is not None and self.network.backbone is not None:
            load_torchvision_weights(self.network.backbone, options.pretrained)

    @staticmethod
    def make_network(options: VSNetOptions) -> VSNet:
        """The untrained network."""
        return PRESETS[options.preset](options.embedding, options.stride)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """A backbone that starts from learned weights moves at a tenth of the heads' rate."""
        if not self.pretrained or self.network.backbone is None:
            return super().parameter_groups()
        slow = list(self.network.backbone.parameters())
        slow_ids = {id(p) for p in slow}
        fast = [p for p in self.parameters() if id(p) not in slow_ids]
        return [{"params": fast, "lr": self.learning_rate}, {"params": slow, "lr": self.learning_rate / 10}]

    def deployed(self, spec: GridSpec, precision: Precision) -> nn.Module:
        return DeployedVSNet(self.network, self.prototypes, spec, precision)

    def losses(self, output: VSNetOutput, batch: Batch) -> dict[str, Tensor]:
        """segmentation, direction, offset, scale, and total."""
        output = VSNetOutput(*map(at_least_float32, output))
        labels = batch.cells.long()
        segmentation = self._segmentation(output.embeddings, labels)
        targets, counts = self._targets(batch, labels)
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

    def _targets(self, batch: Batch, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets (B, h, w, 2) in network pixels from each cell to its landmark, and which of them (B, h, w) count.

        A landmark behind the warped camera is nowhere to point to.
        """
        count, height, width = labels.shape
        pixels = project(self.positions, batch.map_from_camera, batch.warped_from_camera)
        centers = cell_centers(height, width, self.network.stride, labels.device)
        landmark = (labels - 1).clamp_min(0).view(count, -1, 1).expand(-1, -1, 2)
        targets = pixels.gather(1, landmark).view(count, height, width, 2) - centers
        counts = (labels > 0) & targets.isfinite().all(dim=-1)
        return torch.where(counts[..., None], targets, 0), counts
