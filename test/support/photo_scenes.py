"""Photos of two walls and a floor, rendered by homographies, whose poses are known but told to nobody."""

from pathlib import Path

import cv2
import numpy as np

from support.mapping_scenes import looking_at
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import Matrix, invert

CAMERA = Camera(240, 180, 210.0, 210.0, 119.5, 89.5)
METRES_PER_TEXEL = 0.01
# Of each plane: its first corner, and the edges along which its picture's columns and rows run, metres.
PLANES = (
    ((-3.0, 2.0, 1.5), (6.0, 0.0, 0.0), (0.0, 0.0, -2.4)),
    ((-3.0, 2.0, -0.9), (6.0, 0.0, 0.0), (0.0, -2.0, 0.0)),
    ((-1.5, 1.2, 0.4), (1.2, 0.3, 0.0), (0.0, 0.0, -1.2)),
)


def poses(count: int = 12) -> list[Matrix]:
    """Along an arc before the wall."""
    angles = np.linspace(-0.6, 0.6, count)
    return [looking_at((1.5 * np.sin(a), -0.6 - np.cos(a), 0.3 * np.cos(4 * a)), (0, 1.8, -0.2)) for a in angles]


def picture(map_from_camera: Matrix, seed: int = 0) -> np.ndarray:
    """BGR; `seed`: another one is another place."""
    image: np.ndarray = np.full((CAMERA.height, CAMERA.width, 3), 128, np.uint8)
    for number, (corner, across, down) in enumerate(np.array(PLANES)):
        width, height = (round(np.linalg.norm(edge) / METRES_PER_TEXEL) for edge in (across, down))
        texture = _texture(width, height, (seed, number))
        local = invert(map_from_camera)
        plane = np.column_stack([across / width, down / height, corner])  # texels to points
        homography = CAMERA.matrix @ (local[:3, :3] @ plane + np.outer(local[:3, 3], (0, 0, 1)))
        depth = (local[2, :3] @ plane + local[2, 3] * np.array([0, 0, 1])) @ _corners(width, height)
        if depth.min() <= 0.1:
            continue
        cv2.warpPerspective(
            texture, homography, (CAMERA.width, CAMERA.height), dst=image, borderMode=cv2.BORDER_TRANSPARENT
        )
    return image


def _corners(width: int, height: int) -> np.ndarray:
    corners: np.ndarray = np.array([(0, 0, 1), (width, 0, 1), (0, height, 1), (width, height, 1)], dtype=float).T
    return corners


def _texture(width: int, height: int, seed: tuple[int, int]) -> np.ndarray:
    """Blobs of several sizes."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.integers(0, 256, (max(2, height // s), max(2, width // s), 3), np.uint8), (width, height))
        for s in (6, 14, 40)
    ]
    mean: np.ndarray = np.mean(layers, axis=0).astype(np.uint8)
    return mean


def write_photos(directory: Path, count: int = 12, seed: int = 0, prefix: str = "") -> Path:
    directory.mkdir(exist_ok=True)
    for index, pose in enumerate(poses(count)):
        cv2.imwrite(str(directory / f"{prefix}{index}.png"), picture(pose, seed))
    return directory
