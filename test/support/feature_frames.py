"""Frames in which local features are found, without any files."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.types import Frame
from vloc_ros.geometry.camera import Camera

CAMERA = Camera(200, 160, 150.0, 150.0, 99.5, 79.5, (0.1, -0.02, 0.001, 0.0))


@dataclass
class Frames:
    """Noise with a wall behind it; counts how often an image was decoded; `breaks_at`: a frame that cannot be read."""

    count: int = 7
    breaks_at: int | None = None
    camera_: Camera = CAMERA
    seed: int = 1
    decoded: list[int] = field(default_factory=list)
    has_depth: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"frame-{index}" for index in range(self.count))

    def __len__(self) -> int:
        return self.count

    def place(self, index: int) -> str:
        return ""

    def camera(self, index: int) -> Camera:
        return self.camera_

    def map_from_camera(self, index: int) -> NDArray[np.float64]:
        return np.eye(4)

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        if index == self.breaks_at:
            raise KeyboardInterrupt
        self.decoded.append(index)
        height, width = self.camera_.height, self.camera_.width
        rng = np.random.default_rng([self.seed, index])
        coarse = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8) * (index != 3)  # frame 3 shows nothing
        rgb = np.ascontiguousarray(np.kron(coarse, np.ones((8, 8, 1), np.uint8)))
        wall = np.full((height, width), 2.0 + index, np.float32) if depth else None
        return Frame(self.names[index], CameraImage(rgb, self.camera_), np.eye(4), wall)
