"""Rewrites a trained network into one of fewer operations with the same result, up to rounding; for export."""

import copy
from itertools import pairwise
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vloc_ros.training.vsnet.layers import Neighbourhoods

Network = TypeVar("Network", bound=nn.Module)


def fused(network: Network) -> Network:
    """A copy, only for evaluation, with each batch normalisation folded into the convolution before it, and what
    rearranges features before a 1x1 convolution made one convolution with it: a strided one of a pixel unshuffle, a
    larger one of neighbourhoods."""
    copied = copy.deepcopy(network).eval()
    for module in copied.modules():
        _fold_batch_norms(module)
    for module in copied.modules():
        _merge_rearrangements(module)
    return copied


def _fold_batch_norms(module: nn.Module) -> None:
    """In children that follow one another: every network here defines its layers in the order of their use."""
    children = list(module.named_children())
    for (name, child), (next_name, following) in pairwise(children):
        if isinstance(child, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child, following))
            setattr(module, next_name, nn.Identity())


def _merge_rearrangements(module: nn.Module) -> None:
    if not isinstance(module, nn.Sequential):
        return
    for index in range(len(module) - 1):
        rearranged, following = module[index], module[index + 1]
        if not isinstance(rearranged, nn.PixelUnshuffle | Neighbourhoods) or not isinstance(following, nn.Sequential):
            continue
        conv = following[0]
        assert isinstance(conv, nn.Conv2d)
        assert conv.kernel_size == (1, 1)
        module[index] = nn.Identity()
        if isinstance(rearranged, Neighbourhoods):
            following[0] = _reaching(conv, rearranged.across)
        else:
            following[0] = _strided(conv, rearranged.downscale_factor)


def _strided(conv: nn.Conv2d, factor: int) -> nn.Conv2d:
    """What `conv`, 1x1, does behind a pixel unshuffle, whose outputs are factor x factor pixels a channel."""
    channels = conv.in_channels // factor**2
    merged = nn.Conv2d(channels, conv.out_channels, factor, stride=factor, bias=conv.bias is not None)
    weight = conv.weight.reshape(conv.out_channels, channels, factor, factor)
    return _with_parameters(merged, weight, conv)


def _reaching(conv: nn.Conv2d, across: int) -> nn.Conv2d:
    """What `conv`, 1x1, does behind Neighbourhoods, whose outputs are all channels of across x across cells."""
    channels = conv.in_channels // across**2
    merged = nn.Conv2d(channels, conv.out_channels, across, padding=across // 2, bias=conv.bias is not None)
    weight = conv.weight.reshape(conv.out_channels, across, across, channels).permute(0, 3, 1, 2)
    return _with_parameters(merged, weight, conv)


def _with_parameters(merged: nn.Conv2d, weight: Tensor, conv: nn.Conv2d) -> nn.Conv2d:
    merged.weight = nn.Parameter(weight.detach().clone())
    merged.bias = conv.bias
    return merged.to(conv.weight.device)
