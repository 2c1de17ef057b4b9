"""What making a map can be told; plain values, so that they can be checked before anything heavy is loaded."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vloc_ros.errors import ConfigError
from vloc_ros.training.trainer import TrainingOptions

DEFAULT_LANDMARKS = 1000


@dataclass(frozen=True)
class MapOptions:
    """How `build_map` makes a map.

    Patches number about `landmarks` or measure `patch_size_m`: one of the two is None. `mesh`: a surface to use instead
    of fusing depth. `width`: of the network's input; its height follows the first image's aspect ratio. `workdir` keeps
    what a continued run needs; `fresh` ignores what is in it. Raises ConfigError for values that make no sense.
    """

    dataset: str
    root: Path | None
    split: str
    out: Path
    workdir: Path
    poses: str | None = None
    method: str = "vsnet"
    landmarks: int | None = DEFAULT_LANDMARKS
    patch_size_m: float | None = None
    mesh: Path | None = None
    width: int = 320
    frame_id: str = "map"
    fresh: bool = False
    training: TrainingOptions = field(default_factory=TrainingOptions)

    def __post_init__(self) -> None:
        if self.method != "vsnet":
            raise ConfigError(f"method '{self.method}' cannot be trained, known is vsnet")
        if (self.landmarks is None) == (self.patch_size_m is None):
            raise ConfigError(f"patches: give landmarks or patch_size_m, got {self.landmarks} and {self.patch_size_m}")
        if (self.landmarks or self.patch_size_m or 0) <= 0:
            raise ConfigError(f"patches: {self.landmarks or self.patch_size_m} must be positive")
        if self.width < 64:
            raise ConfigError(f"network: an input {self.width} pixels wide is too small, at least 64")

    def fingerprint(self) -> dict[str, Any]:
        """What a continued run must share with the one that it continues, as JSON values."""
        values = asdict(self)
        for name in ("out", "workdir", "fresh"):
            del values[name]
        fingerprint: dict[str, Any] = json.loads(json.dumps(values, default=str))
        return fingerprint
