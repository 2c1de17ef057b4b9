"""Images of a video, read through OpenCV."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import DatasetError
from vloc_ros.images.quality import sharpness

VIDEO_ENDINGS = (".mp4", ".mov", ".avi", ".mkv", ".m4v", ".webm")
FRAME_RATE = 2.0  # images taken from a second
CANDIDATES = 4  # frames of a period, the sharpest of which is taken
ENDS_EARLY = 0.98  # of the frames that the file says that it has


def video_frames(
    path: Path, frame_rate: float, say: Callable[[str], None], advance: Callable[[int, int], None]
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The sharpest image, RGB (H, W, 3), of each period of a video, and its time in seconds from the start.

    A video that ends before its frames do is used as far as it goes, and `say` is told. Raises DatasetError for one
    that cannot be read at all.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        rate, count = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if not capture.isOpened() or not 0 < rate < 1000:
            raise DatasetError(f"{path}: not a video that OpenCV can read, or one that was cut off")
        every = max(1.0, rate / frame_rate)  # frames
        step = max(1, int(every / CANDIDATES))
        best: tuple[float, float, NDArray[np.uint8]] | None = None
        done, period = 0, 0
        while capture.grab():
            if int(done / every) != period:
                if best is not None:
                    yield best[1], best[2]
                best, period = None, int(done / every)
            if done % step == 0:
                best = _sharper(best, done / rate, capture, path)
            done += 1
            advance(done, max(count, done))
        if best is not None:
            yield best[1], best[2]
    finally:
        capture.release()
    if done == 0:
        raise DatasetError(f"{path}: no image of the video can be read")
    if done < ENDS_EARLY * count:
        say(f"warning: {path}: the video ends early: {done} of {count} frames can be read, the map is made of those")


def _sharper(
    best: tuple[float, float, NDArray[np.uint8]] | None, seconds: float, capture: cv2.VideoCapture, path: Path
) -> tuple[float, float, NDArray[np.uint8]] | None:
    """The frame that was grabbed, if it is sharper than the best one of its period: sharpness, seconds, RGB."""
    read, bgr = capture.retrieve()
    if not read:
        return best
    rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    found = sharpness(rgb)
    return (found, seconds, rgb) if best is None or found > best[0] else best
