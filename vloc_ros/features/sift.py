"""SIFT (Lowe, IJCV 2004) as RootSIFT (Arandjelovic and Zisserman, CVPR 2012), with the tensors of an extractor."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES, SIFT_DIMENSIONS
from vloc_ros.core.session import Tensors

CONTRAST = 0.02  # of a key point; OpenCV's 0.04 finds too few indoors
# OpenCV doubles the image first, so that its pixel (0, 0) lies at (-0.25, -0.25) of the image, and then only halves
# coordinates; `enable_precise_upscale`, which newer releases have, would do the same as this.
SHIFT = 0.25


def sift(rgb: NDArray[np.uint8], key_points: int) -> Tensors:
    """The K = `key_points` strongest of an image (H, W, 3): as `extractor_spec`, zeros where there are fewer. Safe to
    call in several threads."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    detector = cv2.SIFT_create(nfeatures=key_points, contrastThreshold=CONTRAST)  # type: ignore[attr-defined]
    found, histograms = detector.detectAndCompute(grey, None)
    responses = np.array([point.response for point in found], np.float32)
    order = np.argsort(-responses, kind="stable")[:key_points]
    count = len(order)
    pixels, scores = np.zeros((key_points, 2), np.float32), np.zeros(key_points, np.float32)
    descriptors = np.zeros((key_points, SIFT_DIMENSIONS), np.float32)
    if count:
        pixels[:count] = np.array([point.pt for point in found], np.float32)[order] - np.float32(SHIFT)
        scores[:count] = responses[order]
        descriptors[:count] = _root(histograms[order])
    return {KEY_POINTS: pixels, SCORES: scores, DESCRIPTORS: descriptors}


def _root(histograms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Their Hellinger kernel as a scalar product: square roots of histograms whose sum is 1."""
    sums = histograms.sum(axis=1, keepdims=True)
    return np.asarray(np.sqrt(histograms / np.maximum(sums, np.float32(1e-12))), dtype=np.float32)
