"""How often each colour is seen at the points of a place: what the colours of an image say of where it was taken.

Colours are the ratios of channels, which do not change with exposure. White balance changes them, so they only add to
what descriptors say.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Colors = NDArray[np.uint8]

STEP = 0.05  # of the logarithms of red and of blue, each over green
BINS = 32  # of either
DARK = 10.0  # is added to the channels, of which little is known in the dark
BLUR = 0.7  # standard deviation, bins
LEAST_SHARE = 1e-4  # of a colour that a place has not shown
SHARPNESS = 8.0  # of a mean over key points that do not speak independently of each other


def color_shares(colors: Colors) -> Float32:
    """Of the points of a place with colours (N, 3), zeros where not known, the share (B,) in each bin of colours; zeros
    where no colour is known."""
    counts = np.bincount(_bins(colors[colors.any(axis=1)]), minlength=BINS**2).astype(np.float32)
    blurred = cv2.GaussianBlur(counts.reshape(BINS, BINS), (3, 3), BLUR)
    return np.asarray(blurred / max(1.0, float(blurred.sum())), dtype=np.float32).ravel()


def color_support(shares: Float32, colors: Colors) -> Float:
    """How much the colours (N, 3) of an image's key points speak for each place (P,) that has these `shares` (P, B):
    numbers of the sum 1."""
    likelihoods = np.log(shares[:, _bins(colors)].astype(np.float64) + LEAST_SHARE).mean(axis=1)
    support = np.exp(SHARPNESS * (likelihoods - likelihoods.max()))
    return np.asarray(support / support.sum())


def _bins(colors: Colors) -> NDArray[np.intp]:
    """The bin (N,) of each colour (N, 3)."""
    red, green, blue = np.log(colors + DARK).T
    along = [
        np.clip(np.floor(ratio / STEP).astype(np.intp) + BINS // 2, 0, BINS - 1)
        for ratio in (red - green, blue - green)
    ]
    return np.asarray(along[0] * BINS + along[1])
