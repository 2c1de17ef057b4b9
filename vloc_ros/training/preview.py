"""The map's preview picture: a held-out image beside what the network sees in it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.model_spec import NETWORK
from vloc_ros.core.session import run_one
from vloc_ros.core.types import CameraImage
from vloc_ros.localizer import Localizer

HEIGHT = 120  # pixels; a map is to be small


def draw_preview(localizer: Localizer, image: CameraImage) -> NDArray[np.uint8]:
    """The network's input and, beside it, the same with what each cell shows over it, uint8 (HEIGHT, W, 3)."""
    session = localizer.sessions[NETWORK]
    spec = session.spec.grid
    pixels = localizer.method.prepare(image, spec)
    colors = localizer.method.colors(run_one(session, {spec.input_name: pixels}), localizer.landmark_map)
    seen = cv2.resize(colors, (spec.width, spec.height), interpolation=cv2.INTER_NEAREST)
    pair = np.hstack([pixels, cv2.addWeighted(pixels, 0.4, seen, 0.6, 0)])
    scale = HEIGHT / pair.shape[0]
    return np.asarray(cv2.resize(pair, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)
