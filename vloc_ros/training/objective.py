"""What training minimises, whatever the method: the loss of one batch, in one module that holds all parameters."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vloc_ros.core.model_spec import GridSpec, Precision
from vloc_ros.training.batches import Batch

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


class Objective(nn.Module):
    """A network and its loss. `network` is what `compile_network` speeds up; `forward` has it run by `run_network`.

    `learning_rate`: of steps of BASE_BATCH images.
    """

    def __init__(self, network: nn.Module, learning_rate: float):
        super().__init__()
        self.normalize: nn.Module = Normalize()
        self.network = network
        self.learning_rate = learning_rate
        self.run_network: Callable[..., Any] = self.apply_network

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def apply_network(self, images: Tensor, batch: Batch) -> Any:
        """The network's output for normalised images (B, 3, H, W)."""
        return self.network(images)

    def compile_network(self, backend: str | Callable[..., Any]) -> None:
        """Run the network through torch.compile from now on; what fails, fails at the next batch."""
        self.run_network = torch.compile(self.apply_network, backend=backend)

    def run_eagerly(self) -> None:
        """Run the network as it is written."""
        self.run_network = self.apply_network

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters with their learning rates, as torch's optimizers take them."""
        return [{"params": list(self.parameters()), "lr": self.learning_rate}]

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss by name, `total` among them."""
        output = self.run_network(self.normalize(batch.images), batch)
        with torch.autocast(batch.images.device.type, enabled=False):  # what losses subtract needs all its digits
            return self.losses(output, batch)

    def losses(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        """The same of the network's output, which may have any precision."""
        raise NotImplementedError

    def deployed(self, spec: GridSpec, precision: Precision) -> nn.Module:
        """A copy of what was learned, as the robot runs it: from uint8 images (B, H, W, 3) to the outputs of `spec`."""
        raise NotImplementedError


def at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
