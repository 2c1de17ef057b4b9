"""HSCNet as the robot runs it: the descent from level to level, leaf centres and confidences inside."""

import torch
from torch import Tensor, nn

from vloc_ros.core.model_spec import GridSpec, Precision
from vloc_ros.errors import ConfigError
from vloc_ros.mapping.hierarchy import Hierarchy
from vloc_ros.training.deploy import DTYPES, Preprocess
from vloc_ros.training.fuse import fused
from vloc_ros.training.hscnet.network import HSCNet
from vloc_ros.training.hscnet.tree import Tree


class Descent:
    """Goes down from level to level by the most likely child of each cell's node; a `Choose` of `HSCNet.forward`.

    nodes (B, h, w) int32: where each cell is, None before the first level. confidences (B, h, w): the probability of
    the path so far, the product of its levels'.
    """

    def __init__(self, tree: Tree):
        self._tree = tree
        self.nodes: Tensor | None = None
        self.confidences: Tensor | None = None

    def choose(self, level: int, logits: Tensor) -> Tensor:
        """The most likely child (B, h, w) int32 of each cell's node, given logits (B, k, h, w)."""
        logits = logits.float()
        start = None if self.nodes is None else self._tree.first(level)[self.nodes]
        if self.nodes is not None and start is not None and self._tree.ragged[level]:
            counts = (self._tree.first(level)[1:][self.nodes] - start).unsqueeze(1)
            numbers = torch.arange(self._tree.branching[level], dtype=torch.int32, device=logits.device)
            logits = torch.where(numbers.view(1, -1, 1, 1) < counts, logits, -1e4)
        child = logits.argmax(dim=1).to(torch.int32)
        # The largest of a softmax, which over all channels takes ONNX Runtime three times as long.
        probability = 1 / (logits - logits.amax(dim=1, keepdim=True)).exp().sum(dim=1)
        self.nodes = child if start is None else start + child
        self.confidences = probability if self.confidences is None else self.confidences * probability
        return child


class DeployedHSCNet(nn.Module):
    """uint8 images (B, H, W, 3) to coordinates (B, h, w, 3) metres, confidences (B, h, w), the probability of the leaf,
    and regions (B, h, w) int32, the leaf's number plus 1.

    A copy of what was learned, for evaluation only, on the network's device. The input is that of `spec`, a whole
    number of times the network's own. `precision` is that of the network. One without levels has one leaf, of
    confidence 1. Raises ConfigError for a hierarchy that is not the network's.
    """

    def __init__(self, network: HSCNet, hierarchy: Hierarchy, spec: GridSpec, precision: Precision = "float32"):
        super().__init__()
        if hierarchy.branching != network.branching or (not hierarchy.depth and len(hierarchy.leaf_centers) != 1):
            raise ConfigError(
                f"network: made for the branching {network.branching}, the hierarchy has {hierarchy.branching} and "
                f"{len(hierarchy.leaf_centers)} leaves"
            )
        self.dtype = DTYPES[precision]
        self.preprocess = Preprocess(spec.width, spec.height, spec.stride // network.stride)
        self.network = fused(network).to(self.dtype)
        self.tree = Tree(hierarchy)
        self.to(next(network.parameters()).device)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        descent = Descent(self.tree)
        output = self.network(self.preprocess(images).to(self.dtype), descent.choose)
        residuals = output.residuals.float().permute(0, 2, 3, 1)
        if descent.nodes is None or descent.confidences is None:
            confidences = residuals[..., 0].clamp(1, 1)
            nodes = (confidences < 0).to(torch.int32)
        else:
            nodes, confidences = descent.nodes, descent.confidences
        return self.tree.centers[nodes] + residuals, confidences, nodes + 1
