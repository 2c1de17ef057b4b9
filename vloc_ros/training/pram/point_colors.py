"""The colours of a map's points, as the frames show them that it was made of."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.grey import is_grey
from vloc_ros.core.prefetch import prefetch
from vloc_ros.cores import core_count
from vloc_ros.datasets.types import Dataset
from vloc_ros.features.cache import FeatureCache
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.methods.image_colors import blurred_input, colors_at

Colors = NDArray[np.uint8]

THREADS = min(4, core_count())  # that decode images


def point_colors(reconstruction: Reconstruction, frames: Dataset, features: FeatureCache) -> Colors:
    """RGB (P, 3): of each point the median, channel by channel, of what its observations show in frames that are not
    grey; zeros, which stand for not known, where there are none."""
    order = np.argsort(reconstruction.frames, kind="stable")
    ends = np.searchsorted(reconstruction.frames[order], np.arange(len(frames) + 1))

    def seen(frame: int) -> Colors | None:
        of_frame = order[ends[frame] : ends[frame + 1]]
        image = frames.frame(frame).image
        if is_grey(image.rgb):
            return None
        return colors_at(blurred_input(image, features.size), features.pixels[frame, reconstruction.rows[of_frame]])

    shown, known = np.zeros((len(order), 3), dtype=np.uint8), np.zeros(len(order), dtype=np.bool_)
    used = [frame for frame in range(len(frames)) if ends[frame] < ends[frame + 1]]
    for frame, colors in zip(used, prefetch(iter(used), seen, THREADS, 2 * THREADS), strict=True):
        if colors is not None:
            of_frame = order[ends[frame] : ends[frame + 1]]
            shown[of_frame], known[of_frame] = colors, True
    return medians(shown[known], reconstruction.points[known], len(reconstruction))


def medians(values: Colors, groups: NDArray[np.int32], count: int) -> Colors:
    """Of values (N, C) in `count` groups, the lower median (count, C) of each column; zeros of a group without any."""
    sizes = np.bincount(groups, minlength=count)
    middles = (np.cumsum(sizes) - sizes + (sizes - 1) // 2)[sizes > 0]
    found = np.zeros((count, values.shape[1]), dtype=np.uint8)
    for column, into in zip(values.T, found.T, strict=True):
        into[sizes > 0] = column[np.lexsort((column, groups))[middles]]
    return found
