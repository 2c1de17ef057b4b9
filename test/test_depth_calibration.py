"""A depth error of known size is found from the poses and undone; where there is none, or no telling, depth stays."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import pytest
from mapping_scenes import CAMERA, looking_at, wall_and_box_depth

from vloc_ros.core.camera import Camera
from vloc_ros.core.transforms import apply
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import DatasetError
from vloc_ros.mapping.depth_calibration import CorrectedDepth, DepthCorrection, calibrate_depth

IDENTITY = DepthCorrection()
LARGE = CAMERA.resized(480, 360)


def _texture(size: int = 1500) -> np.ndarray:
    """Blobs of several sizes, (size, size) uint8."""
    rng = np.random.default_rng(0)
    layers = [cv2.resize(rng.normal(size=(n, n)), (size, size), interpolation=cv2.INTER_CUBIC) for n in (40, 120, 300)]
    return (128 + 45 * sum(layers)).clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class TexturedWall:
    """Views of the wall and the box of mapping_scenes, textured, with depth that the sensor measures as
    1 / (scale / z + offset)."""

    poses: tuple
    error: DepthCorrection = IDENTITY
    contrast: float = 1.0
    has_depth: bool = True
    intrinsics: Camera = field(default=LARGE)

    @property
    def names(self):
        return tuple(str(i) for i in range(len(self.poses)))

    def __len__(self):
        return len(self.poses)

    def camera(self, index):
        return self.intrinsics

    def map_from_camera(self, index):
        return self.poses[index]

    @cached_property
    def _texture(self):
        return _texture()

    def frame(self, index, *, depth=False):
        camera, pose = self.intrinsics, self.poses[index]
        exact = wall_and_box_depth(camera, pose)
        points = apply(pose, (camera.rays() * exact[..., None]).reshape(-1, 3)).reshape(*exact.shape, 3)
        on_texture = ((points + 1.6) / 3.2 * (len(self._texture) - 1)).astype(np.float32)
        rgb = cv2.remap(self._texture, on_texture[..., 0], on_texture[..., 2] + 20 * points[..., 1].astype(np.float32), 1)
        rgb = (128 + self.contrast * (rgb.astype(float) - 128)).astype(np.uint8)
        image = CameraImage(np.repeat(rgb[..., None], 3, axis=2), camera)
        return Frame(str(index), image, pose, self.error.apply(exact) if depth else None)
