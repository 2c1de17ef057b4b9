"""Augmentation: one warp for image, labels and landmark targets together, then light, noise and occluders.

What is drawn is drawn here, for a batch at a time, and carried out here with OpenCV; `augment_on_device` does the same
with torch.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.mapping.novel_views import GREY

Float = NDArray[np.float64]
Image = NDArray[np.uint8]
BORDER = (GREY, GREY, GREY)  # outside of the image
NO_OCCLUDER, NOISE, COLOR, PART = range(4)
LEAST_NOISE = 0.5  # of 255: less than that is lost in rounding


@dataclass(frozen=True)
class Light:
    """Of B images: whether each is blurred (3x3), the gains (B, 3) of its channels, the offset (B,) that is added, and
    sigma (B,) of the noise; the last two in 0 .. 255."""

    blurred: NDArray[np.bool_]
    gains: Float
    offsets: Float
    noise: Float


@dataclass(frozen=True)
class Occluders:
    """Of B images: the kind (B,) of occluder, the box (B, 4) that it covers as y, x, height, width in pixels, the y and
    x (B, 2) where the part of the image lies that a PART shows, and the COLOR (B, 3)."""

    kinds: NDArray[np.int64]
    boxes: NDArray[np.int64]
    parts: NDArray[np.int64]
    colors: NDArray[np.int64]


@dataclass(frozen=True)
class Changes:
    """What happens to B images: homographies (B, 3, 3) from pixels to warped pixels, then light, then occluders; and
    whether (B,) each then loses its colours."""

    warps: Float
    light: Light
    occluders: Occluders
    grey: NDArray[np.bool_]


@dataclass(frozen=True)
class Augmentation:
    """Ranges, each drawn uniformly in +- its value: `pan_deg` and `tilt_deg` turn the camera about its own centre,
    which is exact for any scene, `roll_deg` about its axis; `stretch` is a log scale, `shift` a share of the size,
    `shear_deg` how far upright lines lean; `zoom` is the range of a log scale.

    Light: `gain` per image and `tint` per channel (log), `offset` of 255; `noise` at most (one sigma, of 255); `blur`
    is the chance of a 3x3 blur; `occlusion` the chance of an occluder of up to `occluder` of the height and width:
    noise, a plain colour or another part of the image. `grey` is the chance that an image loses its colours.
    """

    pan_deg: float = 10.0
    tilt_deg: float = 10.0
    roll_deg: float = 15.0
    zoom: tuple[float, float] = (-0.3, 0.3)
    stretch: float = 0.05
    shift: float = 0.05
    shear_deg: float = 0.0
    gain: float = 0.25
    tint: float = 0.05
    offset: float = 0.08
    noise: float = 6.0
    blur: float = 0.15
    occlusion: float = 0.5
    occluder: float = 0.5
    grey: float = 0.0

    def draw(self, intrinsics: Float, width: int, height: int, rng: np.random.Generator) -> Changes:
        """Changes for images of these intrinsics (B, 4), fx fy cx cy."""
        count = len(intrinsics)
        return Changes(
            self.draw_warps(intrinsics, width, height, rng),
            self.draw_light(count, rng),
            self.draw_occluders(count, width, height, rng),
            grey=rng.random(count) < self.grey if self.grey else np.zeros(count, dtype=bool),
        )

    def draw_warps(self, intrinsics: Float, width: int, height: int, rng: np.random.Generator) -> Float:
        """Homographies (B, 3, 3) from pixels to warped pixels; intrinsics (B, 4)."""
        fx, fy, cx, cy = intrinsics.T
        axis_angles = np.radians(_uniform(rng, len(intrinsics), self.tilt_deg, self.pan_deg, self.roll_deg))
        rotations = np.stack([cv2.Rodrigues(axis_angle)[0] for axis_angle in axis_angles])
        zoom = np.exp(rng.uniform(*self.zoom, len(intrinsics)))
        stretch = np.exp(_uniform(rng, len(intrinsics), self.stretch)[:, 0])
        shift_x, shift_y = _uniform(rng, len(intrinsics), self.shift * width, self.shift * height).T
        zoomed = calibrations(fx * zoom * stretch, fy * zoom / stretch, cx + shift_x, cy + shift_y)
        lean = np.tan(np.radians(_uniform(rng, len(intrinsics), self.shear_deg)[:, 0]))
        zoomed[:, 0, 1] = zoomed[:, 0, 0] * lean
        warps = zoomed @ rotations @ np.linalg.inv(calibrations(fx, fy, cx, cy))
        normalized: Float = warps / warps[:, 2:, 2:]
        return normalized

    def draw_light(self, count: int, rng: np.random.Generator) -> Light:
        """Exposure, white balance, blur and noise of so many images."""
        noise = self.noise * rng.random(count)
        return Light(
            blurred=rng.random(count) < self.blur,
            gains=np.exp(_uniform(rng, count, self.gain) + _uniform(rng, count, self.tint, self.tint, self.tint)),
            offsets=255 * _uniform(rng, count, self.offset)[:, 0],
            noise=np.where(noise > LEAST_NOISE, noise, 0),
        )

    def draw_occluders(self, count: int, width: int, height: int, rng: np.random.Generator) -> Occluders:
        """Occluders of so many images; boxes lie inside."""
        image_size = np.array([height, width])
        sizes = np.maximum(2, image_size * rng.uniform(0.1, max(0.1, self.occluder), (count, 2))).astype(np.int64)
        room = image_size - sizes + 1
        kinds = rng.integers(NOISE, PART + 1, count)
        return Occluders(
            kinds=np.where(rng.random(count) < self.occlusion, kinds, NO_OCCLUDER),
            boxes=np.column_stack([rng.integers(0, room), sizes]),
            parts=rng.integers(0, room),
            colors=rng.integers(0, 256, (count, 3)),
        )


def _uniform(rng: np.random.Generator, count: int, *ranges: float) -> Float:
    """(count, len(ranges)), each column in +- its range."""
    drawn: Float = rng.uniform(-1, 1, (count, len(ranges))) * np.array(ranges)
    return drawn


def calibrations(fx: Float, fy: Float, cx: Float, cy: Float) -> Float:
    """Camera matrices (B, 3, 3)."""
    zero, one = np.zeros_like(fx), np.ones_like(fx)
    return np.stack([fx, zero, cx, zero, fy, cy, zero, zero, one], axis=-1).reshape(-1, 3, 3)


def alter_light(image: Image, light: Light, index: int, rng: np.random.Generator) -> Image:
    """The image (H, W, 3) under the `index`-th light."""
    if light.blurred[index]:
        image = np.asarray(cv2.blur(image, (3, 3)), dtype=np.uint8)
    altered = image * light.gains[index].astype(np.float32) + np.float32(light.offsets[index])
    if light.noise[index] > 0:
        altered += np.float32(light.noise[index]) * rng.standard_normal(image.shape, dtype=np.float32)
    clipped: Image = np.clip(altered, 0, 255).astype(np.uint8)
    return clipped


def occlude(
    image: Image, cells: NDArray[Any], occluders: Occluders, index: int, rng: np.random.Generator
) -> tuple[Image, NDArray[Any]]:
    """The image behind the `index`-th occluder, if it is one; the cells that it covers show nothing."""
    kind, (y, x, h, w) = occluders.kinds[index], occluders.boxes[index]
    if kind == NO_OCCLUDER:
        return image, cells
    image, cells = image.copy(), cells.copy()
    if kind == NOISE:
        image[y : y + h, x : x + w] = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
    elif kind == COLOR:
        image[y : y + h, x : x + w] = occluders.colors[index]
    else:
        v, u = occluders.parts[index]
        image[y : y + h, x : x + w] = image[v : v + h, u : u + w].copy()
    top, left, bottom, right = covered_cells(occluders.boxes[index : index + 1], image.shape, cells.shape)[0]
    cells[top:bottom, left:right] = nothing(cells.dtype)
    return image, cells


def nothing(dtype: np.dtype[Any]) -> float:
    """What stands for a cell that shows nothing: 0 among labels, NaN among measures."""
    return np.nan if np.issubdtype(dtype, np.floating) else 0


def covered_cells(boxes: NDArray[np.int64], image: tuple[int, ...], cells: tuple[int, ...]) -> NDArray[np.int64]:
    """Top, left, bottom and right (B, 4) of the cells that boxes (B, 4) of pixels touch; shapes are (H, W, ...)."""
    scale = np.array([cells[0] / image[0], cells[1] / image[1]])
    first, end = np.floor(boxes[:, :2] * scale), np.ceil((boxes[:, :2] + boxes[:, 2:]) * scale)
    return np.column_stack([first, end]).astype(np.int64)


def warp_image(image: Image, warp: Float) -> Image:
    """The image (H, W, 3) under a homography of its pixels, plain grey outside."""
    height, width = image.shape[:2]
    warped = cv2.warpPerspective(image, warp, (width, height), flags=cv2.INTER_LINEAR, borderValue=BORDER)
    return np.asarray(warped, dtype=np.uint8)


def warp_cells(cells: NDArray[Any], warp: Float, width: int, height: int, stride: int) -> NDArray[Any]:
    """Labels or measures (h, w, ...) of any resolution of the image under `warp`, read at the (height / stride, width /
    stride) output cells: int64 or float32.

    `warp` is in pixels of the width x height image. Nearest neighbour, nothing outside.
    """
    size = (width // stride, height // stride)
    matrix = label_warps(warp, cells.shape[:2], width, height, stride)
    border = (nothing(cells.dtype),) * 4
    warped = cv2.warpPerspective(cells.astype(np.float32), matrix, size, flags=cv2.INTER_NEAREST, borderValue=border)
    return warped if np.issubdtype(cells.dtype, np.floating) else warped.astype(np.int64)


def label_warps(warps: Float, labels: tuple[int, ...], width: int, height: int, stride: int) -> Float:
    """Homographies (..., 3, 3) from the pixels of label images of shape `labels` to output cells."""
    source = _pixels_from_cells(width / labels[-1], height / labels[-2])
    target = _pixels_from_cells(stride, stride)
    matrices: Float = np.linalg.inv(target) @ warps @ source
    return matrices


def _pixels_from_cells(scale_x: float, scale_y: float) -> Float:
    """Cell (i, j) of a coarser grid lies at pixel ((j + 0.5) * scale - 0.5, ...)."""
    return np.array([[scale_x, 0, 0.5 * scale_x - 0.5], [0, scale_y, 0.5 * scale_y - 0.5], [0, 0, 1.0]])
