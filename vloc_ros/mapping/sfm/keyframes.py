"""Which images without poses a reconstruction starts from: those in which things have moved since the one before.

Images of a video follow each other so closely that most pairs tell the way the camera turned, but hardly how it moved:
a reconstruction of all of them bends, and takes long. Of photos that were taken one by one all are keyframes.
"""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.features.cache import FeatureCache
from vloc_ros.features.types import KeyPoints
from vloc_ros.mapping.sfm.matches import MIN_COSINE, mutual_matches
from vloc_ros.progress import Advance, no_advance

MAX_FLOW = 0.05  # of an image's longer side: the median way of key points from one keyframe to the next
COMPARED, LEAST_SHARE = 512, 0.4  # the best key points of an image, and how many of them two keyframes share at least
LEAST = 100  # keyframes: with fewer they are chosen nearer to each other, time matters where there are many
FINEST_PX = 1.0


def choose_keyframes(features: FeatureCache, advance: Advance = no_advance) -> NDArray[np.intp]:
    """Rows (k,) of images, in their order: the first, the last, and between them each time the last one that shows what
    the keyframe before it shows, and not more than MAX_FLOW away, or the next one where that does not. Half as far
    away, and half of that, where these are fewer than LEAST; all of LEAST images and fewer."""
    everything, limit = np.arange(len(features)), MAX_FLOW * max(features.size)
    while len(everything) > LEAST and limit >= FINEST_PX:
        chosen = _spread(features, limit, advance)
        if len(chosen) >= LEAST:
            return chosen
        limit /= 2
    return everything


def _spread(features: FeatureCache, limit_px: float, advance: Advance) -> NDArray[np.intp]:
    chosen, last = [0], features.key_points(0)
    before = last
    for row in range(1, len(features)):
        own = features.key_points(row)
        if row - 1 > chosen[-1] and _flow_px(last, own) > limit_px:
            chosen.append(row - 1)
            last = before
        if row - 1 == chosen[-1] and _flow_px(last, own) > limit_px:
            chosen.append(row)
            last = own
        before = own
        advance(row + 1, len(features))
    return np.unique([*chosen, len(features) - 1])


def _flow_px(first: KeyPoints, second: KeyPoints) -> float:
    """How far key points have moved between two images, pixels, the median; infinite where too few are in both."""
    rows = mutual_matches(first.descriptors[:COMPARED], second.descriptors[:COMPARED], MIN_COSINE)
    compared = min(COMPARED, len(first.descriptors), len(second.descriptors))
    if len(rows) < max(1, LEAST_SHARE * compared):
        return np.inf
    moved = second.pixels[rows[:, 1]] - first.pixels[rows[:, 0]]
    return float(np.median(np.linalg.norm(moved, axis=1)))
