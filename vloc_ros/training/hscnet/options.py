"""What making a map of HSCNet or HSCNet++ can be told."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

from vloc_ros.errors import ConfigError
from vloc_ros.training.method_options import (
    DENSE_MINUTES,
    DENSE_STAGES,
    StageName,
    option,
    require_known,
    require_preset,
)

Preset = Literal["small", "compact", "paper", "joined", "small++", "paper++", "joined++"]
Variant = Literal["full", "unconditioned", "classification"]

REACH, REPROJECTION_FROM = 5, 10  # the paper's z and epoch
STRIDE = 8  # of all presets
REGRESSION = 10.0  # weight of the coordinates' loss for one place, the papers'
JOINED_REGRESSION = 100.0  # for joined places; the papers' is 100,000


def parse_branching(text: str) -> tuple[int, ...]:
    """`25x25` and the like; `none` for a network that only regresses. Raises ConfigError."""
    if text == "none":
        return ()
    try:
        return tuple(int(part) for part in text.split("x"))
    except ValueError:
        raise ConfigError(f"branching '{text}' is not like 25x25") from None


@dataclass(frozen=True)
class HSCNetOptions:
    """How a map of HSCNet is made; presets with ++ are HSCNet++.

    `branching`: children of each node of the hierarchy, level by level; without any, the regression-only baseline.
    `variant`, for comparison with `full`: `unconditioned` branches do not know what those before have found,
    `classification` stays at the leaves' centres. `sparse` (a COLMAP model) or `sparsify` (so many points an image, of
    its depth): learn from these points alone, with labels that spread over `reach` network pixels (REACH unless told),
    symmetric cross-entropy and, from epoch `reprojection_from` on (REPROJECTION_FROM unless told), reprojection.
    `regression`: weight of the coordinates' loss (REGRESSION or JOINED_REGRESSION unless told). Raises ConfigError for
    values that make no sense or have no effect.
    """

    method: ClassVar[str] = "hscnet"
    minutes: ClassVar[float] = DENSE_MINUTES
    stages: ClassVar[tuple[StageName, ...]] = DENSE_STAGES
    stride: ClassVar[int] = STRIDE
    width: ClassVar[int] = 320

    preset: Preset = option(
        "small", "small is for CPUs, paper the paper's, ++ with transformers", choices=get_args(Preset)
    )
    branching: tuple[int, ...] = option(
        (25, 25),
        "regions, sub-regions in each, ...; none: only regression",
        parse=parse_branching,
        metavar="NxN",
        shown="25x25",
        stage="regions",
    )
    variant: Variant = option("full", "for comparison", choices=get_args(Variant))
    sparse: Path | None = option(
        None, "learn from the points of this COLMAP model", parse=Path, metavar="DIR", stage="geometry"
    )
    sparsify: int | None = option(
        None, "learn from so many points an image", parse=int, metavar="COUNT", stage="geometry"
    )
    reach: int | None = option(
        None, "how far a sparse point's label spreads", parse=int, metavar="PIXELS", shown=str(REACH), stage="samples"
    )
    reprojection_from: int | None = option(
        None, "when sparse points' reprojection sets in", parse=int, metavar="EPOCH", shown=str(REPROJECTION_FROM)
    )
    regression: float | None = option(
        None,
        "weight of the coordinates",
        parse=float,
        metavar="WEIGHT",
        shown=f"{REGRESSION:g}, for joined places {JOINED_REGRESSION:g}",
    )
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        require_preset(self.method, self.preset, get_args(Preset))
        require_known("variant", self.variant, get_args(Variant))
        if any(count < 1 for count in self.branching):
            raise ConfigError(f"branching {self.branching} must be positive")
        if self.variant != "full" and not self.branching:
            raise ConfigError(f"training: without branching there is nothing to be '{self.variant}'")
        if self.sparse is not None and self.sparsify is not None:
            raise ConfigError(f"training: give sparse or sparsify, got {self.sparse} and {self.sparsify}")
        if self.sparsify is not None and self.sparsify < 1:
            raise ConfigError(f"training: sparsify {self.sparsify} is too small")
        for name in ("reach", "reprojection_from"):
            if (value := getattr(self, name)) is not None and (value < 0 or not self.is_sparse):
                raise ConfigError(f"training: {name} is {value}, it is for sparse points and at least 0")
        if self.regression is not None and not 0 < self.regression < math.inf:
            raise ConfigError(f"training: the regression's weight {self.regression} must be positive and finite")

    def regression_for(self, places: int) -> float:
        """Weight of the coordinates' loss in a map of so many places."""
        if self.regression is not None:
            return self.regression
        return REGRESSION if places == 1 else JOINED_REGRESSION

    @property
    def is_sparse(self) -> bool:
        return self.sparse is not None or self.sparsify is not None
