"""What making a map of VS-Net can be told."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, get_args

from vloc_ros.errors import ConfigError
from vloc_ros.training.method_options import (
    DENSE_MINUTES,
    DENSE_STAGES,
    FROZEN_STAGES,
    StageName,
    option,
    require_known,
    require_preset,
)

Preset = Literal["mobile", "resnet50", "xfeat"]
SegmentationLossName = Literal["softmax", "triplet", "triplet_random", "cross_entropy"]

DEFAULT_LANDMARKS = 1000
# Of each preset: the output strides that it can have, the one that it has by default, and its input's width.
STRIDES: Mapping[Preset, tuple[int, ...]] = {"mobile": (1, 2, 4, 8), "resnet50": (1, 2, 4), "xfeat": (8,)}
DEFAULT_STRIDES: Mapping[Preset, int] = {"mobile": 4, "resnet50": 4, "xfeat": 8}
WIDTHS: Mapping[Preset, int] = {"mobile": 320, "resnet50": 320, "xfeat": 640}


@dataclass(frozen=True)
class SegmentationLoss:
    """Which loss teaches the embeddings, and its settings.

    softmax: cross-entropy over cosine similarities / `temperature`, against the batch's own, their hardest and some
    random prototypes, on at most `pixels` pixels. triplet: equation 2 with the paper's mined negatives; triplet_random:
    the same with random negatives. cross_entropy: against every prototype, on every pixel.
    """

    name: SegmentationLossName = "softmax"
    margin: float = 0.5
    neighbours: int = 8
    temperature: float = 0.05
    random_prototypes: int = 256
    pixels: int = 12288

    def __post_init__(self) -> None:
        require_known("loss", self.name, get_args(SegmentationLossName))


@dataclass(frozen=True)
class LossWeights:
    """Of the terms in the overall loss; the paper's lambda is `direction`, and it has neither `offset` nor `scale`."""

    segmentation: SegmentationLoss = field(default_factory=SegmentationLoss)
    direction: float = 1.0
    offset: float = 1.0
    scale: float = 0.1


@dataclass(frozen=True)
class VSNetOptions:
    """How a map of VS-Net is made.

    Patches number about `landmarks` (DEFAULT_LANDMARKS) or measure `patch_size` metres: one of the two may be given.
    `stride`: a power of two up to 8 (mobile) or 4 (resnet50), 8 (xfeat); by default the preset's. `pretrained`:
    torchvision ResNet-50 weights for the resnet50 preset; its backbone then learns at a tenth of the rate. Raises
    ConfigError for values that make no sense.
    """

    method: ClassVar[str] = "vsnet"
    minutes: ClassVar[float] = DENSE_MINUTES

    preset: Preset = option(
        "mobile",
        "mobile is for CPUs, resnet50 the paper's, xfeat has a pretrained encoder and learns in minutes",
        choices=get_args(Preset),
    )
    landmarks: int | None = option(
        None,
        "make about this many landmarks",
        parse=int,
        metavar="COUNT",
        shown=str(DEFAULT_LANDMARKS),
        stage="regions",
    )
    patch_size: float | None = option(
        None, "make landmark patches of this size", parse=float, metavar="METRES", stage="regions"
    )
    loss: SegmentationLossName = option(
        "softmax", "of the labels; triplet is the paper's", choices=get_args(SegmentationLossName)
    )
    stride: int = option(
        None, "network input pixels per output cell", parse=int, metavar="PIXELS", shown="4; 8 with preset xfeat"
    )
    pretrained: Path | None = option(None, "torchvision's ResNet-50 weights, for resnet50", parse=Path, metavar="FILE")
    direction: float = 1.0
    embedding: int = 32
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        require_preset(self.method, self.preset, get_args(Preset))
        require_known("loss", self.loss, get_args(SegmentationLossName))
        if self.landmarks is not None and self.patch_size is not None:
            raise ConfigError(f"patches: give landmarks or patch size, got {self.landmarks} and {self.patch_size}")
        for size in (self.landmarks, self.patch_size):
            if size is not None and not 0 < size < math.inf:  # NaN has to fail too
                raise ConfigError(f"patches: {size} must be positive and finite")
        if self.pretrained is not None and self.preset != "resnet50":
            raise ConfigError(f"training: pretrained weights are for preset resnet50, not {self.preset}")
        if self.stride is None:  # as nobody sees it: what is not given is the preset's
            object.__setattr__(self, "stride", DEFAULT_STRIDES[self.preset])
        if self.stride not in STRIDES[self.preset]:
            raise ConfigError(f"training: stride {self.stride} is not one of {self.preset}'s, {STRIDES[self.preset]}")

    @property
    def stages(self) -> tuple[StageName, ...]:
        return FROZEN_STAGES if self.preset == "xfeat" else DENSE_STAGES

    @property
    def width(self) -> int:
        return WIDTHS[self.preset]

    @property
    def weights(self) -> LossWeights:
        return LossWeights(SegmentationLoss(self.loss), direction=self.direction)
