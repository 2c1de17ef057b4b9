"""Small synthetic surfaces and a data set with exact depth, for the tests of mapping."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.types import Frame
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.mapping.surface import Surface, voxelised

VOXEL = 0.02
CAMERA = Camera(160, 120, 140.0, 140.0, 79.5, 59.5)


def plane(
    origin: ArrayLike,
    edge_u: ArrayLike,
    edge_v: ArrayLike,
    normal: ArrayLike,
    voxel: float = VOXEL,
    color: ArrayLike = (0.5, 0.5, 0.5),
) -> Surface:
    """A rectangle, sampled every third of a voxel."""
    edge_u, edge_v = np.asarray(edge_u, float), np.asarray(edge_v, float)
    u = np.arange(0.5, np.linalg.norm(edge_u) / voxel * 3) / (np.linalg.norm(edge_u) / voxel * 3)
    v = np.arange(0.5, np.linalg.norm(edge_v) / voxel * 3) / (np.linalg.norm(edge_v) / voxel * 3)
    a, b = (grid.ravel()[:, None] for grid in np.meshgrid(u, v))
    points = np.asarray(origin, float) + a * edge_u + b * edge_v
    ones = np.ones(len(points))
    normals, colors = ones[:, None] * np.asarray(normal, float), ones[:, None] * np.asarray(color)
    return voxelised(points, normals, colors, ones.astype(np.int32), voxel)


def joined(*surfaces: Surface) -> Surface:
    """The union; where two share a voxel, the first keeps it."""
    points, normals, colors, counts = (
        np.concatenate([getattr(s, name) for s in surfaces]) for name in ("points", "normals", "colors", "counts")
    )
    _, first = np.unique(np.floor(points / surfaces[0].voxel_size), axis=0, return_index=True)
    return Surface(points[first], normals[first], colors[first], counts[first], surfaces[0].voxel_size)


def looking_at(position: ArrayLike, target: ArrayLike) -> Matrix:
    """map_from_camera of a camera at `position` that looks at `target`; the map's z is up."""
    forward = np.asarray(target, float) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = position
    return pose


def wall_and_box_depth(camera: Camera, map_from_camera: np.ndarray) -> np.ndarray:
    """Exact depth of the wall y = 2 (towards -y) with a box 0.6 x 0.4 x 0.6 m before it; rays miss beyond 1.5 m."""
    rays = camera.rays() @ map_from_camera[:3, :3].T
    origin = map_from_camera[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        wall = (2.0 - origin[1]) / rays[..., 1]
        hit = origin + wall[..., None] * rays
        wall = np.where((wall > 0) & (np.abs(hit[..., [0, 2]]) < 1.5).all(-1), wall, np.inf)
        low = (np.array([-0.3, 1.2, -0.3]) - origin) / rays
        high = (np.array([0.3, 1.6, 0.3]) - origin) / rays
    enter, leave = np.minimum(low, high).max(-1), np.maximum(low, high).min(-1)
    box = np.where((enter > 0) & (enter < leave), enter, np.inf)
    depth = np.minimum(wall, box)
    return np.where(np.isfinite(depth), depth, 0.0).astype(np.float32)


@dataclass(frozen=True)
class WallAndBox:
    """A data set of views of the wall and the box: grey images, exact depth with noise of `noise` x depth^2 and
    a mean over `blur` x `blur` pixels."""

    poses: tuple[Matrix, ...]
    noise: float = 0.0
    blur: int = 1
    has_depth: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(str(i) for i in range(len(self.poses)))

    def __len__(self) -> int:
        return len(self.poses)

    def place(self, index: int) -> str:
        return ""

    def camera(self, index: int) -> Camera:
        return CAMERA

    def map_from_camera(self, index: int) -> Matrix:
        return self.poses[index]

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        exact = cv2.blur(wall_and_box_depth(CAMERA, self.poses[index]), (self.blur, self.blur))
        noise = np.random.default_rng(index).normal(0.0, 1.0, exact.shape) * self.noise * exact**2
        rgb = np.full((CAMERA.height, CAMERA.width, 3), 128, dtype=np.uint8)
        measured = np.where(exact > 0, exact + noise, 0.0).astype(np.float32)
        return Frame(str(index), CameraImage(rgb, CAMERA), self.poses[index], measured if depth else None)


def views(count: int = 40) -> tuple[Matrix, ...]:
    """Cameras on an arc before the wall."""
    angles = np.linspace(-0.9, 0.9, count)
    return tuple(looking_at((1.5 * np.sin(a), 1.6 - 1.8 * np.cos(a), 0.4 * np.cos(5 * a)), (0, 1.7, 0)) for a in angles)
