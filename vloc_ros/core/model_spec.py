"""What a map says of its models: the networks by their role, and each one's inputs and outputs by name."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from vloc_ros.errors import ConfigError

# What a network is for: `network` says all that a method needs of an image; `extractor` finds key points and their
# descriptors, `recognizer` says what of the map they belong to.
Role = Literal["network", "extractor", "recognizer"]
ROLES: tuple[Role, ...] = get_args(Role)
NETWORK: Role = "network"

# Of the arithmetic inside a network; its inputs and outputs are as the map says in any case.
Precision = Literal["float32", "float16", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

ELEMENTS = ("uint8", "int32", "float32")  # of tensors
TENSOR = re.compile(rf"({'|'.join(ELEMENTS)})(?:\[([1-9][0-9]{{0,9}}(?:, ?[1-9][0-9]{{0,9}}){{0,4}})\])?")
CELL = re.compile(r"(int32|float32)(?:\[([1-9][0-9]{0,3})\])?")
MAX_ELEMENTS = 1 << 26  # of one tensor of one image
MAX_IMAGE_PIXELS = 1 << 24  # of what a network sees: 4096 x 4096


@dataclass(frozen=True)
class TensorSpec:
    """What one image has of a tensor: the type of its elements and its shape, without the batch axis, which every
    tensor has before these. Written as `float32[60, 80, 2]`, a single number as `float32`. Raises ConfigError for what
    cannot be."""

    element: str
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.element not in ELEMENTS or any(size < 1 for size in self.shape):
            raise ConfigError(f"network: {self} is no tensor; its elements are {', '.join(ELEMENTS)}")
        if math.prod(self.shape) > MAX_ELEMENTS:
            raise ConfigError(f"network: a tensor of {self}, at most {MAX_ELEMENTS} elements can be")

    def __str__(self) -> str:
        return f"{self.element}[{', '.join(map(str, self.shape))}]" if self.shape else self.element

    @classmethod
    def parse(cls, text: str) -> "TensorSpec":
        """The inverse of `str`. Raises ConfigError."""
        match = TENSOR.fullmatch(text)
        if match is None:
            raise ConfigError(f"network: {text!r} is no tensor, such as float32[60, 80, 2]")
        return cls(match[1], tuple(int(size) for size in match[2].split(",")) if match[2] else ())

    @property
    def is_image(self) -> bool:
        """Whether it is RGB uint8 (H, W, 3)."""
        return self.element == "uint8" and len(self.shape) == 3 and self.shape[-1] == 3


@dataclass(frozen=True)
class ModelSpec:
    """A network's inputs and outputs by name; what is done to images before, such as normalisation, is part of it.
    Raises ConfigError where there are none."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    def __post_init__(self) -> None:
        for kind in ("inputs", "outputs"):
            if not getattr(self, kind):
                raise ConfigError(f"network: has no {kind}")

    @cached_property
    def grid(self) -> "GridSpec":
        """The same as cells of an image. Raises ConfigError for a network that is not of that kind."""
        ((name, image), *others), (first, *_) = self.inputs.items(), self.outputs.values()
        if others or not image.is_image or len(first.shape) < 2:
            raise ConfigError(f"network: from {_listed(self.inputs)} to {_listed(self.outputs)} is no grid of cells")
        height, width, _ = image.shape
        grid = GridSpec(width, height, max(1, height // first.shape[0]), _cells(self.outputs), name)
        if grid.model != self:
            raise ConfigError(f"network: {_listed(self.outputs)} is no grid of cells of {width}x{height} pixels")
        return grid


@dataclass(frozen=True)
class GridSpec:
    """A network from an image (uint8 RGB, width x height) to a grid of cells, each of which has all outputs.

    `stride`: input pixels per output cell. Cell (i, j) lies at input pixel x = (j + 0.5) * stride - 0.5,
    y = (i + 0.5) * stride - 0.5. `outputs`: what each of them has in every cell, `int32` or `float32`, `float32[2]` for
    two. Raises ConfigError for sizes that do not fit and outputs that cannot be.
    """

    width: int
    height: int
    stride: int
    outputs: Mapping[str, str]
    input_name: str = "image"

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or self.stride < 1:
            raise ConfigError(f"network: size {self.width}x{self.height} with stride {self.stride} must be positive")
        if self.width % self.stride or self.height % self.stride:
            raise ConfigError(f"network: stride {self.stride} does not divide {self.width}x{self.height}")
        if self.width * self.height > MAX_IMAGE_PIXELS:
            raise ConfigError(f"network: input of {self.width}x{self.height}, at most {MAX_IMAGE_PIXELS} pixels can be")
        if not self.outputs:
            raise ConfigError("network: has no outputs")
        for name, cell in self.outputs.items():
            if not CELL.fullmatch(cell):
                raise ConfigError(f"network: outputs.{name} is {cell!r}, expected int32, float32 or float32[2]")

    @cached_property
    def model(self) -> ModelSpec:
        """The same as tensors."""
        rows, columns = self.height // self.stride, self.width // self.stride
        cells = {name: TensorSpec.parse(cell) for name, cell in self.outputs.items()}
        return ModelSpec(
            {self.input_name: TensorSpec("uint8", (self.height, self.width, 3))},
            {name: TensorSpec(cell.element, (rows, columns, *cell.shape)) for name, cell in cells.items()},
        )

    @property
    def models(self) -> Mapping[Role, ModelSpec]:
        """Those of a map that has this network and no other."""
        return {NETWORK: self.model}

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of its input."""
        return self.width, self.height


def _cells(outputs: Mapping[str, TensorSpec]) -> dict[str, str]:
    return {name: str(TensorSpec(output.element, output.shape[2:])) for name, output in outputs.items()}


def _listed(tensors: Mapping[str, TensorSpec]) -> str:
    return ", ".join(f"{name} {tensor}" for name, tensor in tensors.items())
