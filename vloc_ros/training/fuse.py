"""Rewrites a trained network into one of fewer operations with the same result, up to rounding; for export."""

import copy
from itertools import pairwise
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


def fused(network: Network) -> Network:
    """A copy, only for evaluation, with each batch normalisation folded into the convolution before it, and each pixel
    unshuffle with the 1x1 convolution behind it made one strided convolution."""
    copied = copy.deepcopy(network).eval()
    for module in copied.modules():
        _fold_batch_norms(module)
    for module in copied.modules():
        _merge_pixel_unshuffles(module)
    return copied


def _fold_batch_norms(module: nn.Module) -> None:
    """In children that follow one another: every network here defines its layers in the order of their use."""
    children = list(module.named_children())
    for (name, child), (next_name, following) in pairwise(children):
        if isinstance(child, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child, following))
            setattr(module, next_name, nn.Identity())


def _merge_pixel_unshuffles(module: nn.Module) -> None:
    if not isinstance(module, nn.Sequential):
        return
    for index in range(len(module) - 1):
        unshuffle, following = module[index], module[index + 1]
        if isinstance(unshuffle, nn.PixelUnshuffle) and isinstance(following, nn.Sequential):
            conv = following[0]
            assert isinstance(conv, nn.Conv2d)
            assert conv.kernel_size == (1, 1)
            module[index] = nn.Identity()
            following[0] = _strided(conv, unshuffle.downscale_factor)


def _strided(conv: nn.Conv2d, factor: int) -> nn.Conv2d:
    """What `conv`, 1x1, does behind a pixel unshuffle, whose outputs are factor x factor pixels a channel."""
    channels = conv.in_channels // factor**2
    merged = nn.Conv2d(channels, conv.out_channels, factor, stride=factor, bias=conv.bias is not None)
    merged.weight = nn.Parameter(conv.weight.detach().reshape(conv.out_channels, channels, factor, factor).clone())
    merged.bias = conv.bias
    return merged.to(conv.weight.device)
