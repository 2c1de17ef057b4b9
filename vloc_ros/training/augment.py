"""Augmentation: one warp for image, labels and landmark targets together, then light, noise and occluders."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
BORDER = (114, 114, 114)


@dataclass(frozen=True)
class Augmentation:
    """Ranges, each drawn uniformly in +- its value: `pan_deg` and `tilt_deg` turn the camera about its own centre,
    which is exact for any scene, `roll_deg` about its axis; `zoom` and `stretch` are log scales, `shift` a share of the
    size.

    Light: `gain` per image and `tint` per channel (log), `offset` of 255; `noise` at most (one sigma, of 255); `blur`
    is the chance of a 3x3 blur; `occlusion` the chance of an occluder of up to `occluder` of the height and width.
    """

    pan_deg: float = 10.0
    tilt_deg: float = 10.0
    roll_deg: float = 15.0
    zoom: float = 0.3
    stretch: float = 0.05
    shift: float = 0.05
    gain: float = 0.25
    tint: float = 0.05
    offset: float = 0.08
    noise: float = 6.0
    blur: float = 0.15
    occlusion: float = 0.5
    occluder: float = 0.5

    def draw_warp(self, intrinsics: Float, width: int, height: int, rng: np.random.Generator) -> Float:
        """A 3x3 homography from pixels to warped pixels; intrinsics (fx, fy, cx, cy)."""
        fx, fy, cx, cy = intrinsics
        calibration = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
        axis_angle = np.radians(_uniform(rng, self.tilt_deg, self.pan_deg, self.roll_deg))
        rotation = np.asarray(cv2.Rodrigues(axis_angle)[0], dtype=np.float64)
        zoom, stretch = np.exp(_uniform(rng, self.zoom, self.stretch))
        shift_x, shift_y = _uniform(rng, self.shift, self.shift) * np.array([width, height])
        zoomed = np.array([[fx * zoom * stretch, 0, cx + shift_x], [0, fy * zoom / stretch, cy + shift_y], [0, 0, 1.0]])
        warp = zoomed @ rotation @ np.linalg.inv(calibration)
        normalized: Float = warp / warp[2, 2]
        return normalized

    def alter_light(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """The image (H, W, 3) under another exposure and white balance, blurred and noisy."""
        if rng.random() < self.blur:
            image = np.asarray(cv2.blur(image, (3, 3)), dtype=np.uint8)
        gain = np.exp(_uniform(rng, self.gain) + _uniform(rng, self.tint, self.tint, self.tint))
        noisy = image * gain.astype(np.float32) + np.float32(255 * _uniform(rng, self.offset)[0])
        if (sigma := self.noise * rng.random()) > 0.5:
            noisy += np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32)
        clipped: NDArray[np.uint8] = np.clip(noisy, 0, 255).astype(np.uint8)
        return clipped

    def occlude(
        self, image: NDArray[np.uint8], labels: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Cover a random box of the image with noise, a plain colour or another part of itself; its labels become 0."""
        if rng.random() >= self.occlusion:
            return image, labels
        height, width = image.shape[:2]
        h, w = np.maximum(2, np.array([height, width]) * rng.uniform(0.1, self.occluder, 2)).astype(int)
        y, x = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
        image, labels = image.copy(), labels.copy()
        kind = rng.integers(3)
        if kind == 0:
            image[y : y + h, x : x + w] = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
        elif kind == 1:
            image[y : y + h, x : x + w] = rng.integers(0, 256, 3, dtype=np.uint8)
        else:
            v, u = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
            image[y : y + h, x : x + w] = image[v : v + h, u : u + w].copy()
        sy, sx = labels.shape[0] / height, labels.shape[1] / width
        labels[int(y * sy) : int(np.ceil((y + h) * sy)), int(x * sx) : int(np.ceil((x + w) * sx))] = 0
        return image, labels


def _uniform(rng: np.random.Generator, *ranges: float) -> Float:
    return np.array([rng.uniform(-r, r) for r in ranges])


def warp_image(image: NDArray[np.uint8], warp: Float) -> NDArray[np.uint8]:
    """The image (H, W, 3) under a homography of its pixels, plain grey outside."""
    height, width = image.shape[:2]
    warped = cv2.warpPerspective(image, warp, (width, height), flags=cv2.INTER_LINEAR, borderValue=BORDER)
    return np.asarray(warped, dtype=np.uint8)


def warp_labels(labels: NDArray[np.integer], warp: Float, width: int, height: int, stride: int) -> NDArray[np.int64]:
    """Labels of any resolution of the image under `warp`, read at the (height / stride, width / stride) output cells.

    `warp` is in pixels of the width x height image. Nearest neighbour, 0 outside.
    """
    source = _pixels_from_cells(width / labels.shape[1], height / labels.shape[0])
    target = _pixels_from_cells(stride, stride)
    size = (width // stride, height // stride)
    matrix = np.linalg.inv(target) @ warp @ source
    warped = cv2.warpPerspective(labels.astype(np.float32), matrix, size, flags=cv2.INTER_NEAREST, borderValue=0)
    return warped.astype(np.int64)


def warp_points(points: Float, warp: Float) -> Float:
    """Pixels (N, 2) under a homography; NaN where they go behind the warped camera."""
    homogeneous = np.column_stack([points, np.ones(len(points))]) @ warp.T
    depth = np.where(homogeneous[:, 2:] > 1e-6, homogeneous[:, 2:], np.nan)
    warped: Float = homogeneous[:, :2] / depth
    return warped


def _pixels_from_cells(scale_x: float, scale_y: float) -> Float:
    """Cell (i, j) of a coarser grid lies at pixel ((j + 0.5) * scale - 0.5, ...)."""
    return np.array([[scale_x, 0, 0.5 * scale_x - 0.5], [0, scale_y, 0.5 * scale_y - 0.5], [0, 0, 1.0]])
