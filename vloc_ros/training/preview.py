"""Pictures that a map brings: a held-out image beside what the network sees in it, and those that went worst."""

import base64
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.types import CameraImage
from vloc_ros.datasets import Dataset
from vloc_ros.evaluation.records import FrameRecord, worst_first
from vloc_ros.localizer import Localizer
from vloc_ros.methods.network_input import padded_input

HEIGHT = 120  # pixels; a map is to be small
WORST, WORST_WIDTH = 3, 240


def draw_preview(localizer: Localizer, image: CameraImage) -> NDArray[np.uint8]:
    """The network's input and, beside it, the same with what each cell shows over it, uint8 (HEIGHT, W, 3)."""
    size = localizer.landmark_map.manifest.image_size
    observation = localizer.observe(image)
    shown = observation.query.views[0].image
    pixels = padded_input(shown, size)
    colors = localizer.method.visualize(observation.tensors[0], shown, localizer.landmark_map).colors
    seen = pixels if colors is None else cv2.resize(colors, size, interpolation=cv2.INTER_NEAREST)
    pair = np.hstack([pixels, cv2.addWeighted(pixels, 0.4, seen, 0.6, 0)])
    scale = HEIGHT / pair.shape[0]
    return np.asarray(cv2.resize(pair, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def worst_pictures(records: Sequence[FrameRecord], frames: Dataset) -> dict[str, str]:
    """The WORST frames by name, of the `records` of all `frames`: small JPEG images in base64."""
    found = {}
    for record in worst_first(records)[:WORST]:
        rgb = frames.frame(frames.names.index(record.name)).image.rgb
        scale = min(1.0, WORST_WIDTH / rgb.shape[1])
        small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 70])
        found[record.name] = base64.b64encode(jpeg.tobytes()).decode()
    return found
