"""What map.yaml says of a map: everything that decides how the network is fed and when a pose is believed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from vloc_ros.errors import ConfigError

FORMAT_VERSION = 1

# What each named network output holds in every cell: element type and trailing shape.
OUTPUT_CELLS: Mapping[str, tuple[str, tuple[int, ...]]] = MappingProxyType(
    {
        "labels": ("int32", ()),
        "confidences": ("float32", ()),
        "votes": ("float32", (2,)),
        "distances": ("float32", ()),
        "scales": ("float32", ()),
    }
)


@dataclass(frozen=True)
class NetworkSpec:
    """The network's input (uint8 RGB, width x height; normalisation is part of the graph) and named outputs.

    `stride`: network input pixels per output cell. Output cell (i, j) lies at input pixel x = (j + 0.5) * stride - 0.5,
    y = (i + 0.5) * stride - 0.5. Raises ConfigError for sizes that do not fit and outputs that nobody knows.
    """

    width: int
    height: int
    stride: int
    input_name: str = "image"
    output_names: tuple[str, ...] = tuple(OUTPUT_CELLS)

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or self.stride < 1:
            raise ConfigError(f"network: size {self.width}x{self.height} with stride {self.stride} must be positive")
        if self.width % self.stride or self.height % self.stride:
            raise ConfigError(f"network: stride {self.stride} does not divide {self.width}x{self.height}")
        if unknown := [name for name in self.output_names if name not in OUTPUT_CELLS]:
            raise ConfigError(f"network: unknown output {unknown[0]!r}, known are {list(OUTPUT_CELLS)}")
        if not self.output_names or len(set(self.output_names)) != len(self.output_names):
            raise ConfigError(f"network: outputs {list(self.output_names)} must be named once each")

    def output_shape(self, name: str) -> tuple[int, ...]:
        """Shape of an output without its batch axis, (height / stride, width / stride, ...)."""
        return (self.height // self.stride, self.width // self.stride, *OUTPUT_CELLS[name][1])


@dataclass(frozen=True)
class GateThresholds:
    """A pose is believed only inside all of these; calibrated on held-out frames when the map is made.

    Raises ConfigError for a threshold that makes no sense; infinity switches one of the upper limits off.
    """

    min_inliers: int = 12
    min_inlier_ratio: float = 0.3
    max_reprojection_rmse_px: float = 8.0
    max_position_sigma_m: float = 0.1
    max_rotation_sigma_deg: float = 2.0

    def __post_init__(self) -> None:
        if self.min_inliers < 0 or not 0 <= self.min_inlier_ratio <= 1:
            raise ConfigError(
                f"gate: min_inliers {self.min_inliers} or min_inlier_ratio {self.min_inlier_ratio} out of range"
            )
        for name in ("max_reprojection_rmse_px", "max_position_sigma_m", "max_rotation_sigma_deg"):
            if not getattr(self, name) > 0:  # not `<=`: NaN has to fail too
                raise ConfigError(f"gate: {name} is {getattr(self, name)}, must be positive")


@dataclass(frozen=True)
class Manifest:
    """The typed content of map.yaml, but for the file hashes, which only reading and writing need.

    `accuracy` and `training` are summaries for people: figures measured on held-out frames, settings of the training.
    """

    method: str
    frame_id: str
    created: str
    network: NetworkSpec
    gate: GateThresholds = field(default_factory=GateThresholds)
    training: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    accuracy: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    format_version: int = FORMAT_VERSION
