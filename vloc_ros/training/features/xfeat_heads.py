"""XFeat's network from a grey image to its heads, with first layers that compute the same in a third of the time.

Convolutions of one to eight channels at the image's full resolution leave most of a CPU's vector units idle. The same
numbers, to rounding, are convolutions of squares of pixels: with the pixels of a square as channels.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = nn.BatchNorm2d(1).eps  # the authors have left it as it is
CELL = 8  # pixels of an image for each of the heads' cells


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
            *(SquareConvolution(*first, stride=1, inputs=1, outputs=2), nn.ReLU()),
            *(SquareConvolution(*second, stride=2, inputs=2, outputs=2), nn.ReLU()),
            *(SquareConvolution(*third, stride=1, inputs=2, outputs=2), nn.ReLU()),
            *(SquareConvolution(*fourth, stride=2, inputs=2, outputs=1), nn.ReLU()),
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


class SquareConvolution(nn.Module):
    """A convolution with a padding of 1 that is given the pixels of squares, and gives those of squares, as channels.

    `kernels` (C, D, 3, 3) and `biases` (C,) are of pixels, `stride` too. `inputs` and `outputs`: how many pixels wide
    its squares are, m and n: it takes (B, D * m * m, H / m, W / m) and gives (B, C * n * n, ...), a channel's pixels
    row by row.
    """

    def __init__(self, kernels: Tensor, biases: Tensor, stride: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride = stride * outputs // inputs
        # The square, from the one where the output's begins, and in it the pixel that each of a kernel's rows is of.
        rows = {(pixel, tap): divmod(stride * pixel + tap - 1, inputs) for pixel in range(outputs) for tap in range(3)}
        first, last = (limit(square for square, _ in rows.values()) for limit in (min, max))
        self.padding = (-first, max(0, last - self.stride + 1))  # before and behind
        size, (c, d) = last - first + 1, kernels.shape[:2]
        wide = kernels.new_zeros(c, outputs, outputs, d, inputs, inputs, size, size)
        for (y, tap_y), (square_y, row) in rows.items():
            for (x, tap_x), (square_x, column) in rows.items():
                wide[:, y, x, :, row, column, square_y - first, square_x - first] = kernels[:, :, tap_y, tap_x]
        self.kernels = nn.Parameter(wide.flatten(3, 5).flatten(0, 2))
        self.biases = nn.Parameter(biases.repeat_interleave(outputs**2))

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = _PaddedConvolution.apply(  # type: ignore[no-untyped-call]
            x, self.kernels, self.biases, self.stride, self.padding
        )
        return convolved


class _PaddedConvolution(torch.autograd.Function):
    """A convolution that is padded differently before and behind. Exported, it is one operator instead of two, between
    which ONNX Runtime would order the memory anew."""

    @staticmethod
    def forward(
        ctx: object, x: Tensor, kernels: Tensor, biases: Tensor, stride: int, padding: tuple[int, int]
    ) -> Tensor:
        return F.conv2d(F.pad(x, (*padding, *padding)), kernels, biases, stride)

    @staticmethod
    def symbolic(g: Any, x: Any, kernels: Any, biases: Any, stride: int, padding: tuple[int, int]) -> Any:
        before, behind = padding
        pads = [before, before, behind, behind]
        return g.op("Conv", x, kernels, biases, strides_i=[stride, stride], pads_i=pads)
