"""How well images without a calibration tell the focal length of their camera."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vloc_ros.errors import DatasetError
from vloc_ros.files import write_text

FOCAL = "focal_length.json"  # beside the adjusted model
# Relative. Where images tell a focal length well, the last adjustment with its more exact key points and another
# coefficient of the lens changes it by less. Its standard deviation alone says too little: it knows of no lens that is
# not quite like its model.
MAX_CHANGE, MAX_SIGMA = 0.01, 0.005


@dataclass(frozen=True)
class FocalLength:
    """Pixels: as the mapper found it, after the last adjustment, and its standard deviation there, where it is known:
    if key points are off by a pixel, and nothing else is."""

    mapped: float
    adjusted: float
    sigma: float | None

    @property
    def is_doubtful(self) -> bool:
        changed = abs(self.adjusted / self.mapped - 1) > MAX_CHANGE
        return changed or (self.sigma is not None and not self.sigma <= MAX_SIGMA * self.adjusted)

    def describe(self) -> str:
        """In one line for people."""
        known = self.sigma is not None and np.isfinite(self.sigma)
        line = f"focal length: estimated, {self.adjusted:.1f} pixels{f' +- {self.sigma:.1f}' if known else ''}"
        if not self.is_doubtful:
            return line
        return (
            f"warning: {line}, {self.mapped:.1f} before the last adjustment: the images hardly tell it, and the map "
            "may be bent. Calibrate the camera and give --camera, or move sideways and turn, not only straight ahead"
        )

    def save(self, path: Path) -> None:
        """Raises ConfigError when it cannot be written."""
        write_text(path, json.dumps(asdict(self)) + "\n")

    @classmethod
    def load(cls, path: Path) -> "FocalLength":
        """Raises DatasetError for what `save` did not write."""
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise DatasetError(f"{path}: cannot be read ({error}); --fresh makes it anew") from error
