"""The network as the robot runs it: prototypes and arg-max inside, exported to one ONNX graph."""

import copy
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vloc_ros.core.manifest import NetworkSpec
from vloc_ros.training.networks import VSNet
from vloc_ros.training.objective import Normalize, VSNetObjective

ONNX_OPSET = 17
GROUP = 32  # prototypes that are compared first among themselves, see `DeployedVSNet.nearest`
MIN_HALVED = 1024  # smaller constants are biases and the like, whose rounding would save nothing


class DeployedVSNet(nn.Module):
    """uint8 image (1, H, W, 3) to labels (1, h, w) int32, confidences (1, h, w), votes (1, h, w, 2) unit directions,
    distances (1, h, w) to the landmark and scales (1, h, w), the distance's expected error, in network pixels."""

    def __init__(self, objective: VSNetObjective):
        super().__init__()
        self.normalize = Normalize()
        self.network: VSNet = objective.network
        self.prototypes: Tensor
        self.count = len(objective.prototypes)
        # full groups, the last one filled up from the beginning
        filled = torch.arange(math.ceil(self.count / GROUP) * GROUP) % self.count
        units = F.normalize(objective.prototypes.detach().float(), dim=-1)[filled.to(objective.prototypes.device)]
        self.register_buffer("prototypes", units.T.contiguous())

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        output = self.network(self.normalize(image))
        embeddings = F.normalize(output.embeddings.permute(0, 2, 3, 1), dim=-1)
        confidences, nearest = self.nearest(embeddings)
        distances = output.offsets.norm(dim=1)
        votes = output.offsets.permute(0, 2, 3, 1) / distances.clamp_min(1e-6).unsqueeze(-1)
        labels = (nearest + 1).to(torch.int32)
        return labels, confidences.clamp(0, 1), votes, distances, output.log_scales.exp()

    def nearest(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Largest cosine similarity of each unit embedding (..., E) to a prototype, and the index of that prototype.

        ONNX Runtime finds a maximum several times faster than its place: so first the best group, then the place in it.
        """
        similarities = embeddings @ self.prototypes
        groups = similarities.reshape(*similarities.shape[:-1], -1, GROUP)
        similarity, group = groups.amax(dim=-1).max(dim=-1)
        chosen = group[..., None, None].expand(*group.shape, 1, GROUP)
        place = groups.gather(-2, chosen).squeeze(-2).argmax(dim=-1)
        return similarity, (group * GROUP + place) % self.count


class TorchSession:
    """Runs the objective's network, as it is at the last `update`, behind the `Session` interface.

    `device`: where to run, by default where the objective is.
    """

    def __init__(self, objective: VSNetObjective, spec: NetworkSpec, device: torch.device | None = None):
        self.spec = spec
        self._objective = objective
        self._device = device or objective.prototypes.device
        self.update()

    def update(self) -> None:
        """Take over what was learned since."""
        self._network = copy.deepcopy(DeployedVSNet(self._objective)).to(self._device).eval()

    @torch.no_grad()
    def run(self, image: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        """Outputs by name for an RGB image (H, W, 3), batch axis removed."""
        outputs = self._network(torch.from_numpy(image)[None].to(self._device))
        return {name: o[0].cpu().numpy() for name, o in zip(self.spec.output_names, outputs, strict=True)}


def export_onnx(objective: VSNetObjective, spec: NetworkSpec) -> bytes:
    """One self-contained ONNX file: batch normalisation folded into the convolutions, weights kept as float16."""
    network = copy.deepcopy(DeployedVSNet(objective)).cpu().eval()
    image = torch.zeros(1, spec.height, spec.width, 3, dtype=torch.uint8)
    buffer = io.BytesIO()
    torch.onnx.export(
        network,
        (image,),
        buffer,  # type: ignore[arg-type]  # without dynamo it may be a buffer
        input_names=[spec.input_name],
        output_names=list(spec.output_names),
        opset_version=ONNX_OPSET,
        dynamo=False,
    )
    return halve_weights(buffer.getvalue())


def halve_weights(model: bytes) -> bytes:
    """The same graph with its large float32 constants stored as float16 and cast back when it is loaded.

    Arithmetic stays in float32; what is lost is the rounding of the weights, which the parity check includes.
    """
    graph_model = onnx.load_from_string(model)
    graph = graph_model.graph
    for tensor in list(graph.initializer):
        if tensor.data_type != onnx.TensorProto.FLOAT or math.prod(tensor.dims) < MIN_HALVED:
            continue
        values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        half = onnx.numpy_helper.from_array(values, f"{tensor.name}_float16")
        cast = onnx.helper.make_node("Cast", [half.name], [tensor.name], to=onnx.TensorProto.FLOAT)
        graph.initializer.remove(tensor)
        graph.initializer.append(half)
        graph.node.insert(0, cast)
    return bytes(graph_model.SerializeToString())


def parity(reference: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> tuple[float, float]:
    """Share of cells with the same label, and the 99th percentile of the angle between votes in degrees."""
    agreement = float((reference["labels"] == other["labels"]).mean())
    cosine = (reference["votes"] * other["votes"]).sum(-1)
    sine = reference["votes"][..., 0] * other["votes"][..., 1] - reference["votes"][..., 1] * other["votes"][..., 0]
    return agreement, float(np.degrees(np.percentile(np.abs(np.arctan2(sine, cosine)), 99)))
