"""Points of a room with known truth, and the key points of frames that look at them."""

from dataclasses import dataclass, replace

import numpy as np

from support.mapping_scenes import looking_at
from vloc_ros.features.types import KeyPoints
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.transforms import Matrix, apply, invert
from vloc_ros.mapping.frame_features import FrameFeatures, quantized

CAMERA = Camera(640, 480, 525.0, 525.0, 319.5, 239.5)
DIMENSIONS = 32


@dataclass(frozen=True, eq=False)
class Room:
    """True points (P, 3), their descriptors (P, D) and true poses (F, 4, 4)."""

    points: Matrix
    descriptors: np.ndarray
    poses: Matrix


def room(points: int = 300, frames: int = 12, seed: int = 0) -> Room:
    """Points on a wall and on what stands before it, seen by cameras on an arc."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform((-1.4, 1.2, -1.0), (1.4, 2.2, 1.0), (points, 3))
    descriptors = rng.normal(size=(points, DIMENSIONS)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    angles = np.linspace(-0.7, 0.7, frames)
    poses = [looking_at((1.2 * np.sin(a), 0.2 - np.cos(a), 0.3 * np.cos(4 * a)), (0, 1.7, 0)) for a in angles]
    return Room(positions, descriptors, np.stack(poses))


def observed(
    scene: Room, *, pixel_noise: float = 0.0, depth_noise: float = 0.0, seed: int = 0
) -> tuple[FrameFeatures, list[np.ndarray]]:
    """What frames see, their recorded poses being the true ones, and the true point of each key point by frame."""
    rng = np.random.default_rng(seed)
    parts, seen = [], []
    for pose in scene.poses:
        pixels, depths = CAMERA.project(apply(invert(pose), scene.points))
        rows = rng.permutation(
            np.flatnonzero((pixels > 0).all(axis=1) & (pixels < (CAMERA.width, CAMERA.height)).all(1))
        )
        noise = rng.normal(0, pixel_noise, (len(rows), 2)), 1 + rng.normal(0, depth_noise, len(rows))
        parts.append((pixels[rows] + noise[0], depths[rows] * noise[1], quantized(scene.descriptors[rows])))
        seen.append(rows)
    pixels, depths, descriptors = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    starts = np.cumsum([0, *map(len, seen)], dtype=np.int64)
    names = tuple(f"frame-{index}" for index in range(len(scene.poses)))
    return FrameFeatures(names, scene.poses, CAMERA, starts, pixels, depths, descriptors), seen


def moved(features: FrameFeatures, metres: float, degrees: float, seed: int = 1) -> FrameFeatures:
    """With recorded poses that are off by so much, each in another direction."""
    rng = np.random.default_rng(seed)
    scale = np.repeat([metres, np.radians(degrees)], 3)
    poses = [perturb(pose, scale * rng.normal(size=6) / np.sqrt(3)) for pose in features.map_from_camera]
    return replace(features, map_from_camera=np.stack(poses))


class Source:
    """The key points of FrameFeatures, as a cache gives them."""

    def __init__(self, features: FrameFeatures) -> None:
        self._features = features
        self.names = features.names

    def __len__(self) -> int:
        return len(self.names)

    def key_points(self, index: int) -> KeyPoints:
        part = slice(self._features.starts[index], self._features.starts[index + 1])
        descriptors = self._features.descriptors[part].astype(np.float32)
        descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
        return KeyPoints(self._features.pixels[part], np.ones(len(descriptors), np.float32), descriptors)
