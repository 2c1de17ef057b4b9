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
    """RGB (P, 3): of each point the median, channel by channel, of what its observations show; zeros, which stand for
    not known, where a frame is grey."""
    order = np.argsort(reconstruction.frames, kind="stable")
    ends = np.searchsorted(reconstruction.frames[order], np.arange(len(frames) + 1))

    def seen(frame: int) -> Colors | None:
        of_frame = order[ends[frame] : ends[frame + 1]]
        image = frames.frame(frame).image
        if is_grey(image.rgb):
            return None
        return colors_at(blurred_input(image, features.size), features.pixels[frame, reconstruction.rows[of_frame]])

    shown = np.zeros((len(order), 3), dtype=np.uint8)
    used = [frame for frame in range(len(frames)) if ends[frame] < ends[frame + 1]]
    for frame, colors in zip(used, prefetch(iter(used), seen, THREADS, 2 * THREADS), strict=True):
        if colors is None:
            return np.zeros((len(reconstruction), 3), dtype=np.uint8)
        shown[order[ends[frame] : ends[frame + 1]]] = colors
    return medians(shown, reconstruction.points, len(reconstruction))


def medians(values: Colors, groups: NDArray[np.int32], count: int) -> Colors:
    """Of values (N, C) in `count` groups, each of which has some, the lower median (count, C) of each column."""
    sizes = np.bincount(groups, minlength=count)
    middles = np.cumsum(sizes) - sizes + (sizes - 1) // 2
    columns = [column[np.lexsort((column, groups))[middles]] for column in values.T]
    return np.stack(columns, axis=1)
