"""Where images show the same small patch, to a fraction of a pixel: inverse-compositional Lucas-Kanade (Baker and
Matthews, IJCV 2004) by translation, of patches that are compared up to their brightness and contrast."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

RADIUS = 6  # pixels around a patch's centre
WINDOW = 4.0  # standard deviation of the weights of its pixels
BLUR = 0.8  # pixels: of the images before, so that they are smooth between pixels
LEAST_CONTRAST = 2.0  # of grey values, standard deviation
LEAST_CORNER = 1e-3  # of how well the weaker direction is fixed, against the stronger one: less is an edge
MAX_STEPS, SETTLED_PX, MAX_STEP_PX = 12, 0.02, 1.0

_SPAN = np.arange(-RADIUS - 1, RADIUS + 2)
_OUTER = np.stack(np.meshgrid(_SPAN, _SPAN), axis=-1)  # with a border, for gradients
_INNER = _OUTER[1:-1, 1:-1].reshape(-1, 2)
_WEIGHTS = np.exp(-0.5 * (_INNER**2).sum(axis=1) / WINDOW**2).astype(np.float32)
_WEIGHTS /= _WEIGHTS.sum()


@dataclass(frozen=True, eq=False)
class Templates:
    """T patches: grey `values` (T, K) of mean 0 and standard deviation 1, their derivatives `slopes` (T, K, 2) by the
    pixels of their own image, and which of them are `usable` (T,): inside their image, and not of one grey."""

    values: Float32
    slopes: Float32
    usable: NDArray[np.bool_]

    def taken(self, rows: NDArray[np.intp]) -> "Templates":
        return Templates(self.values[rows], self.slopes[rows], self.usable[rows])


def smoothed(grey: NDArray[np.uint8]) -> Float32:
    """An image (H, W) as `templates` and `align` are given it."""
    return np.asarray(cv2.GaussianBlur(grey.astype(np.float32), (0, 0), BLUR))


def templates(image: Float32, pixels: Float) -> Templates:
    """Those around pixels (T, 2) of an image."""
    shown = _sampled(image, pixels, np.float32(_OUTER.reshape(1, -1, 2)))
    shown = shown.reshape(len(pixels), len(_SPAN), len(_SPAN))
    values, contrast = _normalised(shown[:, 1:-1, 1:-1].reshape(len(pixels), -1))
    across = (shown[:, 1:-1, 2:] - shown[:, 1:-1, :-2]).reshape(values.shape)
    down = (shown[:, 2:, 1:-1] - shown[:, :-2, 1:-1]).reshape(values.shape)
    slopes = np.stack([across, down], axis=2) / (2 * np.maximum(contrast, LEAST_CONTRAST))[:, None, None]
    slopes -= (_WEIGHTS[:, None] * slopes).sum(axis=1, keepdims=True)
    return Templates(values, slopes, (contrast >= LEAST_CONTRAST) & _inside(image, pixels, RADIUS + 1.0))


def align(image: Float32, sought: Templates, warps: Float, start: Float) -> tuple[Float, Float]:
    """Where (N, 2) an image shows N templates, from pixels `start` (N, 2) on, and how similar (N,) it is there: the
    correlation coefficient; -1 where that cannot be told.

    `warps` (N, 2, 2): from offsets in a template to those in the image.
    """
    found, similarity = start.astype(np.float64), np.full(len(start), -1.0)
    slopes = sought.slopes @ np.linalg.inv(warps).astype(np.float32)  # by the pixels of this image
    weighted = _WEIGHTS[:, None] * slopes
    normal = (weighted.transpose(0, 2, 1) @ slopes).astype(np.float64)
    weak, strong = np.linalg.eigvalsh(normal).T
    offsets = np.asarray(_INNER @ warps.transpose(0, 2, 1), dtype=np.float32)
    active = np.flatnonzero(sought.usable & (weak > LEAST_CORNER * strong))
    for _ in range(MAX_STEPS):
        shown, contrast = _normalised(_sampled(image, found[active], offsets[active]))
        right = (shown - sought.values[active])[:, None] @ weighted[active]
        step = np.linalg.solve(normal[active], right.transpose(0, 2, 1).astype(np.float64))[:, :, 0]
        length = np.linalg.norm(step, axis=1, keepdims=True)
        found[active] -= step * np.minimum(1.0, MAX_STEP_PX / np.maximum(length, 1e-9))
        similarity[active] = np.where(contrast >= LEAST_CONTRAST, (shown * sought.values[active]) @ _WEIGHTS, -1.0)
        active = active[(length[:, 0] > SETTLED_PX) & (similarity[active] > 0)]
        if not len(active):
            break
    reach = RADIUS * np.abs(warps).sum(axis=2).max(axis=1)
    return found, np.where(_inside(image, found, reach), similarity, -1.0)


def _sampled(image: Float32, centres: Float, offsets: Float32) -> Float32:
    """Values (N, K) at offsets (N or 1, K, 2) from centres (N, 2)."""
    places = centres[:, None].astype(np.float32) + offsets
    if not len(places):
        return np.zeros(places.shape[:2], np.float32)
    return np.asarray(cv2.remap(image, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


def _normalised(shown: Float32) -> tuple[Float32, Float32]:
    """Patches (N, K) with mean 0 and standard deviation 1, and what that was (N,)."""
    centred = shown - (shown @ _WEIGHTS)[:, None]
    contrast = np.sqrt(centred**2 @ _WEIGHTS)
    return centred / np.maximum(contrast, 1e-6)[:, None], contrast


def _inside(image: Float32, pixels: Float, reach: Float | float) -> NDArray[np.bool_]:
    height, width = image.shape
    nearest = np.minimum(pixels, (width - 1, height - 1) - pixels).min(axis=1)
    return np.asarray(nearest >= reach)
