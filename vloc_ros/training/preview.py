"""The map's preview picture: a held-out image beside the landmark patches that the network sees in it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.pipeline import Session, run_one
from vloc_ros.core.types import CameraImage
from vloc_ros.methods.network_io import network_input

HEIGHT = 120  # pixels; a map is to be small


def draw_preview(session: Session, image: CameraImage) -> NDArray[np.uint8]:
    """The network's input and, beside it, its labels in fixed random colours blended over it, uint8 (HEIGHT, W, 3)."""
    pixels = network_input(image, session.spec)
    labels = run_one(session, pixels)["labels"]
    colors = np.random.default_rng(0).integers(40, 256, (int(labels.max(initial=0)) + 1, 3), dtype=np.uint8)
    colors[0] = 0
    size = (session.spec.width, session.spec.height)
    patches = cv2.resize(colors[labels], size, interpolation=cv2.INTER_NEAREST)
    pair = np.hstack([pixels, cv2.addWeighted(pixels, 0.4, patches, 0.6, 0)])
    scale = HEIGHT / pair.shape[0]
    return np.asarray(cv2.resize(pair, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)
