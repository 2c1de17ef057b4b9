"""VS-Net (section 3.2): an encoder, a segmentation decoder of embeddings and a voting decoder, in plain torch."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vloc_ros.training.deploy import Preprocess
from vloc_ros.training.vsnet.layers import GlobalContext, InvertedResidual, Residual, conv_bn_relu, upsample
from vloc_ros.training.vsnet.losses import OFFSET_UNIT
from vloc_ros.training.vsnet.options import Preset
from vloc_ros.training.vsnet.resnet import AtrousPyramid, ResNet50

LOG_SCALE_RANGE = (-3.0, 5.0)
VOTE_CHANNELS = 3  # offset x and y, log scale


class VSNetOutput(NamedTuple):
    """Per output cell: embeddings (B, E, h, w), not normalised; offsets (B, 2, h, w) to the landmark in network pixels;
    log_scales (B, h, w), the log of the offset's expected absolute error per axis in network pixels."""

    embeddings: Tensor
    offsets: Tensor
    log_scales: Tensor


class VSNet(nn.Module):
    """Images (B, 3, H, W), normalised, to VSNetOutput at 1 / `stride` of their size."""

    def __init__(self, features: nn.Module, segmentation: nn.Module, voting: nn.Module, stride: int):
        super().__init__()
        self.features = features
        self.segmentation = segmentation
        self.voting = voting
        self.stride = stride

    @property
    def backbone(self) -> ResNet50 | None:
        """The part that ImageNet weights can be loaded into, if there is one."""
        return self.features.backbone if isinstance(self.features, DeepLabFeatures) else None

    def preprocess(self, width: int, height: int, shrink: int) -> nn.Module:
        """What makes its input of uint8 RGB images (B, height, width, 3) that are `shrink` times as large."""
        return Preprocess(width, height, shrink)

    def forward(self, images: Tensor) -> VSNetOutput:
        return self.decode(self.features(images))

    def decode(self, features: Tensor) -> VSNetOutput:
        """What cells of these features (B, C, h, w) say."""
        votes = self.voting(features)
        scales = votes[:, 2].clamp(*LOG_SCALE_RANGE)
        return VSNetOutput(self.segmentation(features), OFFSET_UNIT * votes[:, :2], scales)


class MobileFeatures(nn.Module):
    """Small encoder and decoder: features (B, 128, H/8, W/8).

    Dense 3x3 convolutions where the maps are large, inverted residuals with growing dilation where they are small: the
    depthwise ones are bound by memory: 12 GFLOP/s forward against 74 and more, on the one CPU that we measured.
    """

    channels = 128
    stride = 8

    def __init__(self) -> None:
        super().__init__()
        self.stride4 = nn.Sequential(conv_bn_relu(3, 24, 3, stride=2), conv_bn_relu(24, 48, 3, stride=2), Residual(48))
        self.stride8 = nn.Sequential(conv_bn_relu(48, 96, 3, stride=2), Residual(96), Residual(96))
        self.context = nn.Sequential(
            conv_bn_relu(96, 128, 3, stride=2),
            *(InvertedResidual(128, 128, dilation=dilation, expand=3) for dilation in (1, 2, 4, 2)),
            GlobalContext(128, 64),
            conv_bn_relu(192, 128),
        )
        self.detail = nn.Sequential(nn.PixelUnshuffle(2), conv_bn_relu(4 * 48, 96))
        self.fuse = nn.Sequential(conv_bn_relu(128 + 96 + 96, 128), Residual(128), Residual(128))

    def forward(self, images: Tensor) -> Tensor:
        at4 = self.stride4(images)
        at8 = self.stride8(at4)
        context = upsample(self.context(at8), 2)
        fused: Tensor = self.fuse(torch.cat([context, at8, self.detail(at4)], dim=1))
        return fused


def mobile(embedding: int, stride: int) -> VSNet:
    """About 1.3 M parameters; for CPUs and Jetsons."""
    channels = MobileFeatures.channels

    def head(outputs: int) -> nn.Sequential:
        return nn.Sequential(
            InvertedResidual(channels, channels, expand=2), *_cells(channels, outputs, MobileFeatures.stride // stride)
        )

    return VSNet(MobileFeatures(), head(embedding), head(VOTE_CHANNELS), stride)


def _cells(channels: int, outputs: int, factor: int) -> list[nn.Module]:
    """The last layer: each feature cell says what is in its factor x factor output cells, so that all the work before
    stays at the coarser grid."""
    return [nn.Conv2d(channels, factor * factor * outputs, 1), nn.PixelShuffle(factor)]


class DeepLabFeatures(nn.Module):
    """DeepLabv3 (ResNet-50 at output stride 16, ASPP) joined with its stride-4 features: (B, 256 + 48, H/4, W/4)."""

    channels = 256 + 48
    stride = 4

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ResNet50()
        self.pyramid = AtrousPyramid(2048, 256)
        self.detail = conv_bn_relu(256, 48)

    def forward(self, images: Tensor) -> Tensor:
        at4, at16 = self.backbone(images)
        detail = self.detail(at4)
        return torch.cat([upsample(self.pyramid(at16), 4), detail], dim=1)


def resnet50(embedding: int, stride: int) -> VSNet:
    """The paper's encoder, about 41 M parameters, with a decoder for each branch; for GPUs."""

    def decoder(outputs: int) -> nn.Sequential:
        return nn.Sequential(
            conv_bn_relu(DeepLabFeatures.channels, 256, 3),
            conv_bn_relu(256, 256, 3),
            *_cells(256, outputs, DeepLabFeatures.stride // stride),
        )

    return VSNet(DeepLabFeatures(), decoder(embedding), decoder(VOTE_CHANNELS), stride)


# Those that learn as a whole: each makes a network of so many embedding channels and that output stride.
PRESETS: Mapping[Preset, Callable[[int, int], VSNet]] = {"mobile": mobile, "resnet50": resnet50}
