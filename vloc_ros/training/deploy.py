"""What all networks have in common on the robot: what they take, and how torch runs them."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from vloc_ros.core.model_spec import GridSpec, Precision
from vloc_ros.core.session import Tensors
from vloc_ros.training.objective import PIXEL_MEAN, PIXEL_STD, Objective

DTYPES: Mapping[Precision, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


class Preprocess(nn.Module):
    """uint8 RGB images (B, height, width, 3) to normalised ones (B, 3, height / shrink, width / shrink), shrunk by
    taking means as cv2.INTER_AREA does, but for its rounding."""

    def __init__(self, width: int, height: int, shrink: int):
        super().__init__()
        self.size = height, 3 * width
        self.shrink = shrink
        self.scale: Tensor
        self.offset: Tensor
        self.sums: Tensor
        scale = 1 / torch.tensor(PIXEL_STD)
        self.register_buffer("scale", (scale / shrink**2).view(3, 1, 1))
        self.register_buffer("offset", (-torch.tensor(PIXEL_MEAN) * scale).view(3, 1, 1))
        # Each colour is every third column of an image whose columns are red, green, blue, red, ...
        self.register_buffer("sums", torch.eye(3).repeat(1, shrink)[:, None, None].repeat(1, 1, shrink, 1))

    def forward(self, images: Tensor) -> Tensor:
        # First of all to floating point: TensorRT does nothing else with bytes.
        pixels = images.to(self.scale.dtype)
        if self.shrink == 1:
            planes = pixels.permute(0, 3, 1, 2)
        else:  # separates the colours while it adds, faster than one after the other
            planes = F.conv2d(pixels.reshape(-1, 1, *self.size), self.sums, stride=(self.shrink, 3 * self.shrink))
        return planes * self.scale + self.offset


class _Float32Convolutions(TorchFunctionMode):
    """Convolutions of 16-bit tensors as tensor cores do them: summed in float32, rounded once. On CPUs that know no
    float16, and these are most, it is also fifty times faster than torch's own."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.conv2d:
            return func(*args, **(kwargs or {}))
        dtype = args[0].dtype
        widened: list[Any] = [value.float() if isinstance(value, Tensor) else value for value in args]
        return torch.conv2d(*widened, **(kwargs or {})).to(dtype)


class TorchSession:
    """Runs the objective's network, as it is at the last `update`, behind the `Session` interface.

    `device`: where to run, by default where the objective is.
    """

    max_batch = 1  # for evaluations, one after the other; `run` takes any number

    def __init__(
        self,
        objective: Objective,
        spec: GridSpec,
        device: torch.device | None = None,
        precision: Precision = "float32",
    ):
        self.spec = spec.model
        self._grid = spec
        self._objective = objective
        self._device = device or objective.device
        self._precision: Precision = precision
        self.backend = f"torch on {self._device}, {precision}"
        self.update()

    def update(self) -> None:
        """Take over what was learned since."""
        self._network = self._objective.deployed(self._grid, self._precision).to(self._device)

    @torch.no_grad()
    def run(self, inputs: Tensors) -> Tensors:
        """As `Session.run`."""
        images = inputs[self._grid.input_name]
        with _Float32Convolutions() if self._device.type == "cpu" else nullcontext():
            outputs = self._network(torch.from_numpy(images).to(self._device))
        return {name: output.cpu().numpy() for name, output in zip(self.spec.outputs, outputs, strict=True)}
