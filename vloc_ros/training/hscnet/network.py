"""HSCNet and HSCNet++: regions, sub-regions and a residual for each cell, each conditioned on the ones before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from vloc_ros.training.hscnet.attention import Encoder, LinearTransformer, one_hot, size_of
from vloc_ros.training.hscnet.options import STRIDE, HSCNetOptions, Preset

# What each cell is taken to show of a level, (B, h, w), given the level's number and logits (B, k, h, w).
Choose: TypeAlias = Callable[[int, Tensor], Tensor]
Activation: TypeAlias = type[nn.ELU] | type[nn.ReLU]


@dataclass(frozen=True)
class Architecture:
    """Channels of the network's parts, from the input on, and which parts it has.

    stem: its eight 3x3 convolutions. context: at strides 8, 16 and 32. classifier, regressor: the 1x1 convolutions of
    the branches; all but the coarsest classifier's are conditioned if `conditioned`. Their generators: the convolutions
    before gamma and beta. transformers: layers of each branch, of `attention` channels (HSCNet++).
    residual: whether there is a regression branch; without it the leaves' centres are all there is. activation: the
    papers' is ELU; ReLU, which becomes part of the convolution before it, takes half the time on a CPU.
    """

    stem: tuple[int, int, int, int, int, int, int, int] = (64, 128, 128, 256, 256, 512, 512, 512)
    context: tuple[int, int, int] = (128, 128, 256)
    classifier: tuple[int, ...] = (128, 64)
    regressor: tuple[int, ...] = (4096, 4096)
    classifier_generator: tuple[int, ...] = (32, 64, 128)
    regressor_generator: tuple[int, ...] = (50, 64, 128, 256, 512)
    transformers: int = 0
    attention: int = 64
    conditioned: bool = True
    residual: bool = True
    activation: Activation = nn.ELU


_PAPER = Architecture()
# For joined places: twice the channels, and more of them where the place is told from its like.
_JOINED = replace(
    _PAPER,
    context=(256, 256, 256),
    classifier=(256, 128),
    classifier_generator=(128, 128, 128, 256, 256),
    regressor_generator=(128, 128, 128, 256, 512),
)
_SMALL = Architecture(
    stem=(16, 32, 48, 64, 96, 128, 128, 128),
    context=(64, 64, 96),
    classifier=(64, 64),
    regressor=(256, 256),
    classifier_generator=(32, 64),
    regressor_generator=(64, 128),
    activation=nn.ReLU,
)
# "compact" is the papers' small-capacity variant: more, narrower conditioned layers, less than half the size.
PRESETS: Mapping[Preset, Architecture] = MappingProxyType(
    {
        "small": _SMALL,
        "compact": replace(_JOINED, regressor=(768, 768, 768, 768)),
        "paper": _PAPER,
        "joined": _JOINED,
        "small++": replace(_SMALL, regressor=(128, 128), transformers=2),
        "paper++": replace(_PAPER, regressor=(2048, 2048), transformers=2),
        "joined++": replace(_JOINED, regressor=(2048, 2048), transformers=5),
    }
)


def architecture_of(options: HSCNetOptions) -> Architecture:
    """The preset's, without what the variant lacks."""
    return replace(
        PRESETS[options.preset],
        conditioned=options.variant != "unconditioned",
        residual=options.variant != "classification",
    )


class HSCNetOutput(NamedTuple):
    """Per cell: logits (B, k, h, w) of each level, the coarsest first; residuals (B, 3, h, w), metres from the leaf's
    centre, all 0 for a network that only classifies."""

    logits: tuple[Tensor, ...]
    residuals: Tensor


class HSCNet(nn.Module):
    """Images (B, 3, H, W), normalised, to HSCNetOutput at 1 / STRIDE of their size.

    `branching`: of the hierarchy. Without levels this is the regression-only baseline. The regression, the coarsest and
    all other classifications see 73, 409 and 185 pixels of the image, but for what they are conditioned on and for
    transformers, which see all of it.
    """

    stride = STRIDE

    def __init__(self, branching: Sequence[int], architecture: Architecture = _PAPER):
        super().__init__()
        self.branching = tuple(branching)
        self.stem = _stem(architecture.stem, architecture.activation)
        self.context = (
            Context(architecture.stem[-1], architecture.context, architecture.activation) if self.branching else None
        )
        self.classifiers = nn.ModuleList(
            Branch(2 * architecture.context[0], architecture.classifier, k, sum(self.branching[:level]),
                   architecture.classifier_generator, architecture)
            for level, k in enumerate(self.branching)
        )  # fmt: skip
        self.regressor: nn.Module | None = None
        if architecture.residual:
            self.regressor = Branch(
                architecture.stem[-1], architecture.regressor, 3, sum(self.branching),
                architecture.regressor_generator, architecture,
            )  # fmt: skip
        gain = nn.init.calculate_gain("relu" if architecture.activation is nn.ReLU else "linear")
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(module.weight, gain)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, LinearTransformer):
                module.start_as_identity()

    def forward(self, images: Tensor, choose: Choose) -> HSCNetOutput:
        """`choose` says what to condition on: the truth in training, at run time a `Descent`."""
        features = self.stem(images)
        known: list[Tensor] = []
        logits: list[Tensor] = []
        if self.context is not None:
            wide, middle = self.context(features)
            for level, (classify, count) in enumerate(zip(self.classifiers, self.branching, strict=True)):
                logits.append(classify(middle if level else wide, known))
                known.append(one_hot(choose(level, logits[-1]), count, features.dtype))
        residuals = features[:, :3].clamp(0, 0) if self.regressor is None else self.regressor(features, known)
        return HSCNetOutput(tuple(logits), residuals)


def _conv(inputs: int, outputs: int, activation: Activation, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3x3 convolution that keeps the size, but for the stride, and activation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation), activation(inplace=True))


def _stem(widths: Sequence[int], activation: Activation) -> nn.Sequential:
    """The layers that all branches share: features at stride 8 that see 73 x 73 pixels."""
    strides = (1, 2, 2, 1, 2, 1, 1, 1)
    inputs = (3, *widths[:-1])
    return nn.Sequential(*(_conv(i, o, activation, s) for i, o, s in zip(inputs, widths, strides, strict=True)))


class Context(nn.Module):
    """Features (B, 2 c, h, w), at stride 8 still, that see 409 and 185 pixels: dilated convolutions at strides 16 and
    32, brought back up and joined with what they came from."""

    def __init__(self, inputs: int, widths: tuple[int, int, int], activation: Activation):
        super().__init__()
        at8, at16, at32 = widths
        self.enter = _conv(inputs, at8, activation)
        self.to16 = nn.Sequential(_conv(at8, at16, activation, 2, 2), _conv(at16, at16, activation, 1, 2))
        self.to32 = nn.Sequential(_conv(at16, at32, activation, 2, 2), _conv(at32, at32, activation, 1, 2))
        self.middle_up = _double(at16, at8, activation)
        self.wide_to16 = _double(at32, at16, activation)
        self.wide_fuse = _conv(2 * at16, at16, activation)
        self.wide_up = _double(at16, at8, activation)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        at8 = self.enter(features)
        at16 = self.to16(at8)
        fused = self.wide_fuse(_beside(self.wide_to16(self.to32(at16)), at16))
        return _beside(self.wide_up(fused), at8), _beside(self.middle_up(at16), at8)


def _double(inputs: int, outputs: int, activation: Activation) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 2, stride=2), activation(inplace=True))


def _beside(up: Tensor, skipped: Tensor) -> Tensor:
    """Joined along the channels; what was halved from an odd size comes back one too large."""
    height, width = size_of(skipped)
    return torch.cat([up[..., :height, :width], skipped], dim=1)


class Conditioning(nn.Module):
    """Conditioning parameter generator: from one-hot maps (B, labels, h, w) to a gamma and a beta (B, C, h, w) for each
    of the layers of so many channels C, by 1x1 convolutions, so that every position is conditioned on its own labels.

    Gammas are 1 plus what is generated: at the beginning of training features pass as they are.
    """

    def __init__(self, labels: int, widths: Sequence[int], layers: Sequence[int], activation: Activation):
        super().__init__()
        inputs = (labels, *widths[:-1])
        trunk = [m for i, o in zip(inputs, widths, strict=True) for m in (nn.Conv2d(i, o, 1), activation(inplace=True))]
        self.trunk = nn.Sequential(*trunk)
        self.gammas = nn.ModuleList(nn.Conv2d(widths[-1], channels, 1) for channels in layers)
        self.betas = nn.ModuleList(nn.Conv2d(widths[-1], channels, 1) for channels in layers)

    def forward(self, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
        code = self.trunk(labels)
        return [(1 + gamma(code), beta(code)) for gamma, beta in zip(self.gammas, self.betas, strict=True)]


class Branch(nn.Module):
    """1x1 convolutions, each modulated, gamma * x + beta (equation 1), and activated; then an output layer.

    Transformers follow the first modulation, so that layers are left to make use of what they bring: one encoder to a
    branch, as the networks of the papers' sizes have. `conditions`: number of one-hot channels to condition on, 0 for a
    branch that has nothing before it.
    """

    def __init__(
        self,
        inputs: int,
        widths: Sequence[int],
        outputs: int,
        conditions: int,
        generator: Sequence[int],
        architecture: Architecture,
    ):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in zip((inputs, *widths[:-1]), widths, strict=True))
        self.activate = architecture.activation()
        layers = architecture.transformers
        self.encoder = Encoder(widths[0], architecture.attention, layers) if layers else nn.Identity()
        self.output = nn.Conv2d(widths[-1], outputs, 1)
        self.conditioning: Conditioning | None = None
        if architecture.conditioned and conditions > 0:
            self.conditioning = Conditioning(conditions, generator, widths, architecture.activation)

    def forward(self, x: Tensor, known: Sequence[Tensor]) -> Tensor:
        modulations = None if self.conditioning is None else self.conditioning(torch.cat(list(known), dim=1))
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if modulations is not None:
                gamma, beta = modulations[index]
                x = gamma * x + beta
            x = self.activate(x)
            x = x if index else self.encoder(x)
        y: Tensor = self.output(x)
        return y
