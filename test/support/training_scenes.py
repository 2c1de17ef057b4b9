"""A wall of coloured tiles, one landmark each, seen by small cameras: training frames that need no files."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vloc_ros.core.model_spec import GridSpec
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply
from vloc_ros.methods.vsnet.method import VSNetMethod
from vloc_ros.training.augment import Augmentation
from vloc_ros.training.frames import CELL_STRIDE, TrainingFrames
from vloc_ros.training.vsnet.objective import VSNetObjective
from vloc_ros.training.vsnet.options import LossWeights, Preset, VSNetOptions

NOTHING = Augmentation(
    pan_deg=0.0, tilt_deg=0.0, roll_deg=0.0, zoom=(0.0, 0.0), stretch=0.0, shift=0.0, shear_deg=0.0, gain=0.0, tint=0.0,
    offset=0.0, noise=0.0, blur=0.0, occlusion=0.0,
)  # fmt: skip
SMALL = GridSpec(128, 80, 4, VSNetMethod.outputs)
SIZE = 64
CAMERA = Camera(SIZE, SIZE, 60.0, 60.0, 31.5, 31.5)
DISTANCE, TILE = 2.0, 0.5
COLORS = np.random.default_rng(0).integers(30, 226, (16, 3), dtype=np.uint8)


def most_likely(level: int, logits: torch.Tensor) -> torch.Tensor:
    """For `HSCNet.forward`: the arg-max (B, h, w) of logits (B, k, h, w)."""
    return logits.argmax(dim=1)


def landmarks() -> NDArray[np.float64]:
    """(16, 3): the tiles' centres, 4 by 4."""
    place = (np.arange(4) - 1.5) * TILE
    x, y = np.meshgrid(place, place)
    return np.stack([x.ravel(), y.ravel(), np.full(16, DISTANCE)], axis=1)


def wall_seen(camera: Camera, map_from_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (H, W, 3) of the wall's plane."""
    origin = map_from_camera[:3, 3]
    rays = apply(map_from_camera, camera.rays().reshape(-1, 3)) - origin
    hits: NDArray[np.float64] = origin + rays * ((DISTANCE - origin[2]) / rays[:, 2])[:, None]
    return hits.reshape(camera.height, camera.width, 3)


def tiles_seen(camera: Camera, map_from_camera: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Labels (H, W): 0 beside the wall, k where tile k - 1 is seen."""
    hits = wall_seen(camera, map_from_camera)
    column, row = (np.floor(hits[..., k] / TILE).astype(int) + 2 for k in (0, 1))
    inside = (column >= 0) & (column < 4) & (row >= 0) & (row < 4)
    return np.where(inside, 4 * row + column + 1, 0).astype(np.uint16)


def coordinates_seen(camera: Camera, map_from_camera: NDArray[np.float64]) -> NDArray[np.float32]:
    """Coordinates (H, W, 3) of the wall, NaN beside it."""
    tiles = tiles_seen(camera, map_from_camera)[..., None]
    return np.where(tiles > 0, wall_seen(camera, map_from_camera), np.nan).astype(np.float32)


def make_frames(count: int, show: Callable[..., NDArray[Any]] = tiles_seen) -> TrainingFrames:
    """Views from random places before the wall; the images show the tiles' colours, grey beside the wall, and the cells
    what `show` says."""
    rng = np.random.default_rng(1)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, 3] = rng.uniform(-0.4, 0.4, (count, 3))
    palette = np.concatenate([np.full((1, 3), 128, dtype=np.uint8), COLORS])
    small = CAMERA.resized(SIZE // CELL_STRIDE, SIZE // CELL_STRIDE)
    return TrainingFrames(
        names=tuple(str(i) for i in range(count)),
        images=np.stack([palette[tiles_seen(CAMERA, pose)] for pose in poses]),
        cells=np.stack([show(small, pose) for pose in poses]),
        intrinsics=np.tile([CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy], (count, 1)),
        map_from_camera=poses,
        places=np.zeros(count, np.int64),
    )


def objective_with_statistics(preset: Preset, seed: int = 0) -> VSNetObjective:
    """Untrained, with 40 prototypes, but for running statistics that are not the initial ones."""
    torch.manual_seed(seed)
    made = VSNetObjective(VSNetOptions(preset, embedding=16), np.zeros((40, 3)), LossWeights())
    with torch.no_grad():
        for _ in range(2):
            made.network(torch.randn(2, 3, SMALL.height, SMALL.width))
    return made


def coarse_images(count: int, width: int, height: int) -> NDArray[np.uint8]:
    """(count, height, width, 3) of random tiles, as many across whatever the size."""
    tiles = np.random.default_rng(0).integers(0, 256, (count, 10, 16, 3), dtype=np.uint8)
    return np.ascontiguousarray(tiles.repeat(height // 10, axis=1).repeat(width // 16, axis=2))
