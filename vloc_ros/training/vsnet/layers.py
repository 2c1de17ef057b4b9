"""Building blocks of the networks."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv_bn(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, dilation: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Convolution that keeps the size (but for the stride) and batch normalisation."""
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


def conv_bn_relu(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    """`conv_bn` and ReLU."""
    return nn.Sequential(*conv_bn(inputs, outputs, kernel, stride, dilation, groups), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """One dense 3x3 convolution beside the identity."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(*conv_bn(channels, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.layers(x))


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project (MobileNetV2); beside the identity where the channels agree."""

    def __init__(self, inputs: int, outputs: int, dilation: int = 1, expand: int = 4):
        super().__init__()
        hidden = inputs * expand
        self.layers = nn.Sequential(
            conv_bn_relu(inputs, hidden),
            conv_bn_relu(hidden, hidden, 3, dilation=dilation, groups=hidden),
            *conv_bn(hidden, outputs),
        )
        self.is_residual = inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.is_residual else y


class GlobalContext(nn.Module):
    """What the whole image looks like, appended to every cell: (B, inputs + outputs, h, w)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.project = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, outputs, 1), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.project(x).expand(-1, -1, *x.shape[-2:])], dim=1)


class Neighbourhoods(nn.Module):
    """The features (B, C, h, w) of each cell and its neighbours, `across` x `across` of them, row by row and 0 outside
    of the image: (B, across^2 * C, h, w)."""

    def __init__(self, across: int):
        super().__init__()
        self.across = across

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        padded = F.pad(x, (self.across // 2,) * 4)
        steps = [(i, j) for i in range(self.across) for j in range(self.across)]
        return torch.cat([padded[..., i : i + height, j : j + width] for i, j in steps], dim=1)


def upsample(x: Tensor, factor: int) -> Tensor:
    """Bilinear. By a factor, not to a size: what is exported then has no shapes to compute when it runs."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
