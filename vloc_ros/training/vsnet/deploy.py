"""VS-Net as the robot runs it: pre-processing, prototypes and arg-max inside."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vloc_ros.core.model_spec import GridSpec, Precision
from vloc_ros.training.deploy import DTYPES
from vloc_ros.training.fuse import fused
from vloc_ros.training.vsnet.network import VSNet

GROUP = 32  # prototypes that are compared first among themselves, see `DeployedVSNet.nearest`


class DeployedVSNet(nn.Module):
    """uint8 images (B, H, W, 3) to labels (B, h, w) int32, confidences (B, h, w), votes (B, h, w, 2) unit directions,
    distances (B, h, w) to the landmark and scales (B, h, w), the distance's expected error, in pixels of the input.

    A copy of what was learned, for evaluation only. The input is that of `spec`, a whole number of times the network's
    own. `precision` is that of the network; before and behind it, where digits matter and time does not, it is float32.
    """

    def __init__(self, network: VSNet, prototypes: Tensor, spec: GridSpec, precision: Precision = "float32"):
        super().__init__()
        self.dtype = DTYPES[precision]
        self.shrink = spec.stride // network.stride
        self.preprocess = network.preprocess(spec.width, spec.height, self.shrink)
        self.network: VSNet = fused(network).to(self.dtype)
        self.count = len(prototypes)
        self.prototypes: Tensor
        # full groups, the last one filled up from the beginning
        filled = torch.arange(math.ceil(self.count / GROUP) * GROUP) % self.count
        units = F.normalize(prototypes.detach().float(), dim=-1)[filled.to(prototypes.device)]
        self.register_buffer("prototypes", units.T.contiguous())
        self.to(prototypes.device)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        output = self.network(self.preprocess(images).to(self.dtype))
        embeddings = output.embeddings.float().permute(0, 2, 3, 1)
        units = embeddings / embeddings.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        similarities, nearest = self.nearest(units.reshape(-1, units.shape[-1]))
        offsets = self.shrink * output.offsets.float()
        distances = offsets.norm(dim=1)
        votes = offsets.permute(0, 2, 3, 1) / distances.clamp_min(1e-6).unsqueeze(-1)
        labels, confidences = nearest + 1, similarities.clamp(0, 1)
        scales = self.shrink * output.log_scales.float().exp()
        return labels.reshape_as(distances), confidences.reshape_as(distances), votes, distances, scales

    def nearest(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """Largest cosine similarity of each unit embedding (N, E) to a prototype, and the index of that prototype.

        ONNX Runtime finds a maximum several times faster than its place: so first the best group, then the place in it.
        """
        similarities = (units @ self.prototypes).reshape(-1, self.prototypes.shape[1] // GROUP, GROUP)
        similarity, group = similarities.amax(dim=-1).max(dim=-1)
        rows = torch.arange(group.shape[0], device=group.device) * similarities.shape[1] + group
        place = similarities.reshape(-1, GROUP)[rows].argmax(dim=-1)
        return similarity, (group.to(torch.int32) * GROUP + place.to(torch.int32)) % self.count
