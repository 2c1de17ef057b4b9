"""VS-Net's loss on cells of a buffer of features, behind an encoder that does not learn."""

from typing import Any

import torch
from torch import Tensor, nn

from vloc_ros.training.batches import Batch
from vloc_ros.training.projection import project
from vloc_ros.training.vsnet.frozen import FrozenVSNet
from vloc_ros.training.vsnet.losses import chunked_cross_entropy
from vloc_ros.training.vsnet.network import VSNetOutput
from vloc_ros.training.vsnet.objective import VSNetObjective
from vloc_ros.training.vsnet.options import VSNetOptions


class _Planes(nn.Module):
    """Features (B, h, w, C) of 16 bits to (B, C, h, w) float32."""

    def forward(self, features: Tensor) -> Tensor:
        return features.permute(0, 3, 1, 2).float()


class CellObjective(VSNetObjective):
    """As VSNetObjective, but of the batches of a CellSource; only what is behind the encoder learns."""

    network: FrozenVSNet

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.normalize = _Planes()

    @staticmethod
    def make_network(options: VSNetOptions) -> FrozenVSNet:
        return FrozenVSNet(options.embedding)

    def parameter_groups(self) -> list[dict[str, Any]]:
        learns = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return [{"params": learns, "lr": self.learning_rate}]

    def apply_network(self, images: Tensor, batch: Batch) -> VSNetOutput:
        return self.network.of_neighbourhoods(images)

    def _segmentation(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Of embeddings (1, E, N, 1) against every prototype: N shuffled cells show most landmarks anyway."""
        settings = self.weights.segmentation
        if settings.name not in ("softmax", "cross_entropy"):
            return super()._segmentation(embeddings, labels)
        shown = labels.flatten() > 0
        cells, landmarks = embeddings[0, :, :, 0].T[shown], labels.flatten()[shown] - 1
        return chunked_cross_entropy(cells, landmarks, self.prototypes, settings.temperature)

    def _targets(self, batch: Batch, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Each cell has its own camera, whose origin it is: where its landmark is seen is its offset."""
        landmarks = self.positions[(labels.flatten() - 1).clamp_min(0)]
        targets = project(landmarks[:, None], batch.map_from_camera, batch.warped_from_camera).view(*labels.shape, 2)
        counts = (labels > 0) & targets.isfinite().all(dim=-1)
        return torch.where(counts[..., None], targets, 0), counts
