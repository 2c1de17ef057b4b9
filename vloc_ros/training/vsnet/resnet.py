"""ResNet-50 with torchvision's parameter names, and the atrous spatial pyramid of DeepLabv3."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vloc_ros.errors import ModelError
from vloc_ros.training.vsnet.layers import conv_bn, conv_bn_relu

EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 beside the identity; the stride is in the 3x3 (ResNet v1.5)."""

    def __init__(self, inputs: int, width: int, stride: int, dilation: int):
        super().__init__()
        outputs = EXPANSION * width
        self.conv1, self.bn1 = conv_bn(inputs, width)
        self.conv2, self.bn2 = conv_bn(width, width, 3, stride, dilation)
        self.conv3, self.bn3 = conv_bn(width, outputs)
        changes = stride != 1 or inputs != outputs
        self.downsample = nn.Sequential(*conv_bn(inputs, outputs, stride=stride)) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    """Features at stride 4 (B, 256, H/4, W/4) and, with the last stage dilated, at stride 16 (B, 2048, H/16, W/16)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_bn(3, 64, 7, stride=2)
        self.layer1 = _stage(64, 64, blocks=3)
        self.layer2 = _stage(256, 128, blocks=4, stride=2)
        self.layer3 = _stage(512, 256, blocks=6, stride=2)
        self.layer4 = _stage(1024, 512, blocks=3, dilation=2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(images))), 3, 2, 1)
        at4: Tensor = self.layer1(x)
        return at4, self.layer4(self.layer3(self.layer2(at4)))


def _stage(inputs: int, width: int, blocks: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Bottlenecks, dilated as torchvision does it: the first one still sees its input undilated."""
    first = Bottleneck(inputs, width, stride, dilation=1)
    return nn.Sequential(first, *(Bottleneck(EXPANSION * width, width, 1, dilation) for _ in range(blocks - 1)))


class AtrousPyramid(nn.Module):
    """ASPP of DeepLabv3 at output stride 16: 1x1, 3x3 at rates 6, 12 and 18, and the image's mean, projected."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        rates = (6, 12, 18)
        branches = [conv_bn_relu(inputs, outputs), *(conv_bn_relu(inputs, outputs, 3, dilation=r) for r in rates)]
        self.branches = nn.ModuleList(branches)
        # No batch normalisation here: on one image the mean of one cell has no variance.
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, outputs, 1), nn.ReLU(inplace=True))
        self.project = nn.Sequential(conv_bn_relu((len(rates) + 2) * outputs, outputs), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        features = [*(branch(x) for branch in self.branches), self.pooled(x).expand(-1, -1, *x.shape[-2:])]
        projected: Tensor = self.project(torch.cat(features, dim=1))
        return projected


def load_torchvision_weights(backbone: ResNet50, path: Path) -> None:
    """Load a torchvision ResNet-50 state dict; its classifier `fc.*` is not used.

    Raises ModelError naming the first entry that is missing or of another shape.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a file that is not a state dict
        raise ModelError(f"{path}: not a readable torch state dict ({type(error).__name__})") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{path}: not a state dict, its entries are not all tensors")
    for name, parameter in backbone.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name not in state:
            raise ModelError(f"{path}: entry {name!r} is missing, is this a torchvision ResNet-50?")
        if state[name].shape != parameter.shape:
            raise ModelError(f"{path}: {name!r} is {tuple(state[name].shape)} instead of {tuple(parameter.shape)}")
    backbone.load_state_dict({k: v for k, v in state.items() if not k.startswith("fc.")}, strict=False)
