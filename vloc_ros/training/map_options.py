"""What making a map can be told; plain values, so that they can be checked before anything heavy is loaded."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from vloc_ros.core.manifest import Precision
from vloc_ros.errors import ConfigError

Preset = Literal["mobile", "resnet50"]
SegmentationLossName = Literal["softmax", "triplet", "triplet_random", "cross_entropy"]

DEFAULT_MINUTES = 40.0
SIZE_MULTIPLE = 16  # the networks' coarsest stride
MIN_WIDTH = 64
BASE_BATCH = 6  # images a step on a CPU
GPU_BATCH = 24  # a GPU would be waiting for its next command at fewer
STRIDES: Mapping[Preset, tuple[int, ...]] = {"mobile": (1, 2, 4, 8), "resnet50": (1, 2, 4)}


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
        _require_known("loss", self.name, get_args(SegmentationLossName))


@dataclass(frozen=True)
class LossWeights:
    """Of the terms in the overall loss; the paper's lambda is `direction`, and it has neither `offset` nor `scale`."""

    segmentation: SegmentationLoss = field(default_factory=SegmentationLoss)
    direction: float = 1.0
    offset: float = 1.0
    scale: float = 0.1


@dataclass(frozen=True)
class TrainingOptions:
    """How long and how to train. Exactly one of `minutes` and `epochs` is set.

    A step takes `accumulate` batches of `batch_size` images, shared among the processes; 0 is what suits the device and
    their number (`settled`). `learning_rate` is that of BASE_BATCH images a step; of others it is scaled. `compile`: by
    torch.compile, if that works.
    `stride`: network input pixels per output cell, a power of two up to 8 (mobile) or 4 (resnet50).
    `pretrained`: torchvision ResNet-50 weights for the resnet50 preset; its backbone then learns at a tenth of the
    rate. Raises ConfigError for values that make no sense.
    """

    preset: Preset = "mobile"
    minutes: float | None = None
    epochs: int | None = None
    batch_size: int = 0
    accumulate: int = 0
    compile: bool = False
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    warmup_iterations: int = 100
    embedding: int = 32
    stride: int = 4
    weights: LossWeights = field(default_factory=LossWeights)
    pretrained: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.epochs is None):
            raise ConfigError(f"training: give either minutes or epochs, got {self.minutes} and {self.epochs}")
        budget = self.minutes if self.epochs is None else self.epochs
        if budget is None or not 0 < budget < math.inf:  # NaN has to fail too
            raise ConfigError(f"training: a budget of {budget} must be positive and finite")
        _require_known("preset", self.preset, get_args(Preset))
        if self.pretrained is not None and self.preset != "resnet50":
            raise ConfigError(f"training: pretrained weights are for preset resnet50, not {self.preset}")
        if self.stride not in STRIDES[self.preset]:
            raise ConfigError(f"training: stride {self.stride} is not one of {self.preset}'s, {STRIDES[self.preset]}")
        for name, value in (("batch size", self.batch_size), ("accumulate", self.accumulate), ("seed", self.seed)):
            if value < 0:
                raise ConfigError(f"training: {name} {value} is too small")

    def settled(self, batch_size: int, accumulate: int) -> "TrainingOptions":
        """With these in place of what was left open."""
        return replace(self, batch_size=self.batch_size or batch_size, accumulate=self.accumulate or accumulate)

    @property
    def scaled_learning_rate(self) -> float:
        """Of steps of that many images: their gradient is less noisy by the square root of how many more they are, and
        with an optimizer that divides by the gradient's size, the rate may grow by as much."""
        return self.learning_rate * math.sqrt(self.batch_size * self.accumulate / BASE_BATCH)


@dataclass(frozen=True)
class MapOptions:
    """How `build_map` makes a map.

    Patches number about `landmarks` or measure `patch_size_m`: one of the two is None. `mesh`: a surface to use instead
    of fusing depth. `width`: of the network's input; its height follows the first image's aspect ratio. The gate is set
    so that at most the share `false_positive_rate` of wrong poses passes. `precisions`: of more networks than the one
    in float32. `workdir` keeps what a continued run needs; `fresh` ignores what is in it. Raises ConfigError for values
    that make no sense.
    """

    dataset: str
    root: Path | None
    split: str
    out: Path
    workdir: Path
    poses: str | None = None
    method: str = "vsnet"
    landmarks: int | None = 1000
    patch_size_m: float | None = None
    mesh: Path | None = None
    width: int = 320
    frame_id: str = "map"
    false_positive_rate: float = 0.01
    fresh: bool = False
    precisions: tuple[Precision, ...] = ()
    training: TrainingOptions = field(default_factory=lambda: TrainingOptions(minutes=DEFAULT_MINUTES))

    def __post_init__(self) -> None:
        if self.method != "vsnet":
            raise ConfigError(f"method '{self.method}' cannot be trained, known is vsnet")
        if (self.landmarks is None) == (self.patch_size_m is None):
            raise ConfigError(f"patches: give landmarks or patch_size_m, got {self.landmarks} and {self.patch_size_m}")
        if not 0 <= self.false_positive_rate <= 1:
            raise ConfigError(f"gate: a false positive rate of {self.false_positive_rate} must be in 0 .. 1")
        size = self.patch_size_m if self.landmarks is None else self.landmarks
        if size is None or not 0 < size < math.inf:
            raise ConfigError(f"patches: {size} must be positive and finite")
        if self.width < MIN_WIDTH or self.width % SIZE_MULTIPLE:
            raise ConfigError(
                f"network: input width {self.width} must be a multiple of {SIZE_MULTIPLE}, at least {MIN_WIDTH}"
            )

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the network's input for images of that size."""
        return self.width, SIZE_MULTIPLE * max(1, round(self.width * height / width / SIZE_MULTIPLE))

    def fingerprint(self) -> dict[str, Any]:
        """What a continued run must share with the one that it continues, as JSON values: all but where the map goes,
        how strict its gate is, which networks it has and how long it may take, so that a map that is not good enough
        yet can be trained for longer."""
        values = asdict(self)
        for name in ("out", "workdir", "fresh", "false_positive_rate", "precisions"):
            del values[name]
        for name in ("root", "mesh"):  # the same place, whatever directory the command is given in
            values[name] = values[name] and values[name].resolve()
        for name in ("minutes", "epochs", "compile"):
            del values["training"][name]
        if values["training"]["accumulate"] == 1:  # as ever, before there was a choice
            del values["training"]["accumulate"]
        fingerprint: dict[str, Any] = json.loads(json.dumps(values, default=str))
        return fingerprint


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _require_known(kind: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ConfigError(f"training: {kind} '{name}' is unknown, known are {', '.join(known)}")
