"""A reconstruction whose truth is known: points on a wall, seen from a path along it."""

from dataclasses import dataclass

import numpy as np

from vloc_ros.features.types import KeyPoints
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.reconstruction import Reconstruction

CAMERA = Camera(640, 480, 500.0, 500.0, 319.5, 239.5)
LOOKING_ALONG_X = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def wall(points: int = 600, frames: int = 12, seed: int = 0, share: float = 0.8) -> Reconstruction:
    """Points on a wall 3 m in front of a path along it, each seen by most frames whose image it is in."""
    rng = np.random.default_rng(seed)
    positions = np.column_stack([np.full(points, 3.0), rng.uniform(-4, 4, points), rng.uniform(0, 2, points)])
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, :3, :3] = LOOKING_ALONG_X
    poses[:, :3, 3] = np.column_stack([np.zeros(frames), np.linspace(-3, 3, frames), np.ones(frames)])
    observations = []
    for frame, pose in enumerate(poses):
        pixels, _ = CAMERA.project(apply(invert(pose), positions))
        inside = ((pixels >= 0) & (pixels <= [639, 479])).all(axis=1) & (rng.random(points) < share)
        observations += [(point, frame, *pixels[point]) for point in np.flatnonzero(inside)]
    found = np.array(sorted(observations))
    seen, numbers = np.unique(found[:, 0].astype(int), return_inverse=True)
    return Reconstruction(
        positions=positions[seen],
        sigmas=np.full(len(seen), 0.01),
        frames=found[:, 1].astype(np.int32),
        points=numbers.astype(np.int32),
        rows=_rows_in_frames(found[:, 1].astype(np.int32)),
        pixels=found[:, 2:],
        names=tuple(f"{k}" for k in range(frames)),
        map_from_camera=poses,
        recorded=poses,
        camera=CAMERA,
    )


def _rows_in_frames(frames: np.ndarray) -> np.ndarray:
    """How many observations of its frame come before each."""
    rows = np.zeros(len(frames), dtype=np.int32)
    for frame in np.unique(frames):
        rows[frames == frame] = np.arange((frames == frame).sum())
    return rows


@dataclass(frozen=True, eq=False)
class WallFeatures:
    """The key points of the wall's frames: those that observe a point, described by a vector of the point's own, and
    behind them as many of nothing."""

    reconstruction: Reconstruction
    dimensions: int = 32

    def __len__(self) -> int:
        return len(self.names)

    @property
    def names(self) -> tuple[str, ...]:
        return self.reconstruction.names

    def of_points(self) -> np.ndarray:
        """Descriptors (P, D) of the points."""
        return _units(np.random.default_rng(1).normal(size=(len(self.reconstruction), self.dimensions)))

    def key_points(self, index: int) -> KeyPoints:
        rng, observed = np.random.default_rng((2, index)), self.reconstruction.frames == index
        pixels, points = self.reconstruction.pixels[observed], self.reconstruction.points[observed]
        nothing = rng.uniform(0, 1, pixels.shape) * [CAMERA.width - 1, CAMERA.height - 1]
        descriptors = np.concatenate([self.of_points()[points], rng.normal(size=(len(points), self.dimensions))])
        scores = np.linspace(1, 0.5, 2 * len(points)).astype(np.float32)
        return KeyPoints(np.concatenate([pixels, nothing]), scores, _units(descriptors))


def _units(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
