"""Writes on a picture what came out, so that it can be read from across the room."""

import math
import re
import textwrap

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.types import PoseEstimate, Rejection

Picture = NDArray[np.uint8]

GREEN, RED, WHITE = (40, 220, 90), (240, 50, 50), (255, 255, 255)
FONT = cv2.FONT_HERSHEY_DUPLEX
CAPITAL = 22.0  # pixels, of the font at scale 1
SIZE = 0.03  # of a capital letter, as a part of the picture's height
LINE_LENGTH, LINE_HEIGHT = 40, 1.8  # letters, capital letters
IN_BRACKETS = re.compile(r" \([^)]*\)")
LIGHT_LEFT = 0.3  # of the picture behind the text


def caption_of(result: PoseEstimate | Rejection) -> tuple[str, ...]:
    """A few words in short lines: localized or rejected, and how sure or why."""
    if isinstance(result, Rejection):
        return ("rejected", *textwrap.wrap(IN_BRACKETS.sub("", result.detail), LINE_LENGTH))
    sigma = f"sigma {100 * result.position_sigma_m:.2g} cm, {math.degrees(result.rotation_sigma_rad):.2g} deg"
    confidence = "" if result.confidence is None else f", confidence {result.confidence:.2f}"
    place = f" in {result.place}" if result.place else ""
    return f"localized{place}{confidence}", f"{result.inlier_count} inliers, {sigma}"


def write_caption(picture: Picture, result: PoseEstimate | Rejection) -> None:
    """Write `caption_of` on a dark plate in the upper left corner, with an edge in green or red.

    The letters grow with the height of the picture, as far as its width lets them.
    """
    height, width = picture.shape[:2]
    lines = caption_of(result)
    widest = max(cv2.getTextSize(line, FONT, 1.0, 1)[0][0] for line in lines)
    scale = min(SIZE * height / CAPITAL, width / (widest + 3 * CAPITAL))
    capital = CAPITAL * scale
    plate = picture[: round(capital * (LINE_HEIGHT * len(lines) + 0.9)), : math.ceil(scale * widest + 2.6 * capital)]
    plate[:] = (plate * LIGHT_LEFT).astype(np.uint8)
    plate[:, : round(0.6 * capital)] = RED if isinstance(result, Rejection) else GREEN
    for number, line in enumerate(lines):
        corner = round(1.4 * capital), round(capital * (LINE_HEIGHT * number + 1.8))
        cv2.putText(picture, line, corner, FONT, scale, WHITE, max(1, round(2 * scale)), cv2.LINE_AA)
