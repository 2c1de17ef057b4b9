"""XFeat's network from a grey image to its heads, with first layers that compute the same in a third of the time.

Convolutions of one to eight channels at the image's full resolution leave most of a CPU's vector units idle. The same
numbers, to rounding, are convolutions of tiles of pixels: with the pixels of a tile as channels. Tiles are as small as
fills the vector units, because most kernels of tiles are zeros: at most two pixels of a kernel's row lie in one tile.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = nn.BatchNorm2d(1).eps  # the authors have left it as it is
CELL = 8  # pixels of an image for each of the heads' cells

Pair = tuple[int, int]


class XFeatHeads(nn.Module):
    """Grey (B, 1, H, W), H and W multiples of 32, to features (B, 64, H/8, W/8), logits of key points (B, 65, H/8, W/8)
    in each cell, the last one that of none, and reliability (B, 1, H/8, W/8). `network`: the authors', with weights."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        part = network.get_submodule
        self.norm, self.skip1, self.block2, self.block3 = part("norm"), part("skip1"), part("block2"), part("block3")
        self.block4, self.block5, self.fusion = part("block4"), part("block5"), part("block_fusion")
        self.reliability = part("heatmap_head")
        first, second, third, fourth = (_weights(layer) for layer in part("block1").children())
        self.block1 = nn.Sequential(
            *(TileConvolution(*first, stride=1, inputs=(1, 1), outputs=(2, 2)), nn.ReLU()),
            *(TileConvolution(*second, stride=2, inputs=(2, 2), outputs=(1, 2)), nn.ReLU()),
            *(TileConvolution(*third, stride=1, inputs=(1, 2), outputs=(1, 2)), nn.ReLU()),
            *(TileConvolution(*fourth, stride=2, inputs=(1, 2), outputs=(1, 1)), nn.ReLU()),
        )
        head, *others = part("keypoint_head").children()
        kernels, biases = _weights(head)  # of the pixels of a cell, row by row
        self.cells = nn.Conv2d(1, len(kernels), CELL, CELL)
        self.cells.weight = nn.Parameter(kernels.reshape(-1, 1, CELL, CELL))
        self.cells.bias = nn.Parameter(biases)
        self.logits = nn.Sequential(nn.ReLU(), *others)

    def forward(self, grey: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.norm(grey).to(self.cells.weight.dtype)  # its sums are too large for 16 bits
        x3 = self.block3(self.block2(self.block1(x) + self.skip1(x)))
        x4 = self.block4(x3)
        x5 = self.block5(x4)
        finer4, finer5 = (F.interpolate(x, scale_factor=n, mode="bilinear") for x, n in ((x4, 2), (x5, 4)))
        features = self.fusion(x3 + finer4 + finer5)
        return features.float(), self.logits(self.cells(x)).float(), self.reliability(features).float()


def _weights(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Of a layer of the authors, a convolution without biases and a batch normalisation: kernels and biases of one
    convolution."""
    convolution, norm, _ = layer.get_submodule("layer").children()
    variance, mean = norm.get_buffer("running_var"), norm.get_buffer("running_mean")
    scale = (variance + EPSILON).rsqrt()
    return convolution.get_parameter("weight").detach() * scale[:, None, None, None], -mean * scale


class TileConvolution(nn.Module):
    """A convolution with a padding of 1 that is given the pixels of tiles, and gives those of tiles, as channels.

    `kernels` (C, D, 3, 3) and `biases` (C,) are of pixels, `stride` too. `inputs` and `outputs`: rows and columns of
    pixels in its tiles, (m, n) and (k, l): it takes (B, D * m * n, H / m, W / n) and gives (B, C * k * l, ...), a
    channel's pixels row by row.
    """

    def __init__(self, kernels: Tensor, biases: Tensor, stride: int, inputs: Pair, outputs: Pair) -> None:
        super().__init__()
        down, across = (_Taps.of(stride, m, k) for m, k in zip(inputs, outputs, strict=True))
        self.strides = down.stride, across.stride
        self.padding = down.padding, across.padding
        c, d = kernels.shape[:2]
        wide = kernels.new_zeros(c, *outputs, d, *inputs, down.size, across.size)
        for (y, tap_y), (tile_y, row) in down.places.items():
            for (x, tap_x), (tile_x, column) in across.places.items():
                wide[:, y, x, :, row, column, tile_y, tile_x] = kernels[:, :, tap_y, tap_x]
        self.kernels = nn.Parameter(wide.flatten(3, 5).flatten(0, 2))
        self.biases = nn.Parameter(biases.repeat_interleave(math.prod(outputs)))

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = _PaddedConvolution.apply(  # type: ignore[no-untyped-call]
            x, self.kernels, self.biases, self.strides, self.padding
        )
        return convolved


@dataclass(frozen=True)
class _Taps:
    """Of a convolution of tiles along one axis: its stride, its padding before and behind, and the size of its kernels,
    in tiles. `places`: the tile, and the pixel in it, of each pixel of an output's tile and tap of a kernel of
    pixels."""

    stride: int
    padding: tuple[int, int]
    size: int
    places: Mapping[tuple[int, int], tuple[int, int]]

    @classmethod
    def of(cls, stride: int, inputs: int, outputs: int) -> "_Taps":
        """A convolution of pixels with this stride, from tiles of `inputs` to tiles of `outputs` pixels."""
        tiles = stride * outputs // inputs
        found = {(pixel, tap): divmod(stride * pixel + tap - 1, inputs) for pixel in range(outputs) for tap in range(3)}
        first, last = (limit(tile for tile, _ in found.values()) for limit in (min, max))
        places = {key: (tile - first, pixel) for key, (tile, pixel) in found.items()}
        return cls(tiles, (-first, max(0, last - tiles + 1)), last - first + 1, places)


class _PaddedConvolution(torch.autograd.Function):
    """A convolution that is padded differently before and behind. Exported, it is one operator instead of two, between
    which ONNX Runtime would order the memory anew."""

    @staticmethod
    def forward(
        ctx: object, x: Tensor, kernels: Tensor, biases: Tensor, strides: Pair, padding: tuple[Pair, Pair]
    ) -> Tensor:
        down, across = padding
        return F.conv2d(F.pad(x, (*across, *down)), kernels, biases, strides)

    @staticmethod
    def symbolic(g: Any, x: Any, kernels: Any, biases: Any, strides: Pair, padding: tuple[Pair, Pair]) -> Any:
        (above, below), (left, right) = padding
        return g.op("Conv", x, kernels, biases, strides_i=list(strides), pads_i=[above, left, below, right])
