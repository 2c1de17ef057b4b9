"""Grey images, and maps that know none: a network that learned from colours alone finds next to nothing in them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.manifest import Manifest

IMAGES = "images"  # in the manifest's `training`: of which kind were those that the network learned from
COLOR, GREY, BOTH = "colour", "grey", "colour and grey"
UNKNOWN_GREY = "the image is grey, and the map was made of colour images alone (vloc map --grey makes one for both)"
UNKNOWN_COLORS = "the image has colours, and the map was made for grey cameras"
STEP = 8  # pixels: of every so manieth row and column is looked at


def is_grey(rgb: NDArray[np.uint8]) -> bool:
    """Whether an image (H, W, 3) shows something, and all its channels the same."""
    some = rgb[::STEP, ::STEP]
    return bool((some == some[..., :1]).all() and some.min() != some.max())


def kind_of_images(images: NDArray[np.uint8], grey: float) -> str:
    """What IMAGES says of images (N, H, W, 3), the share `grey` of which lost their colours in training."""
    known = {GREY if is_grey(image) else COLOR for image in images}
    known = ({GREY} if grey > 0 else set()) | (known if grey < 1 else set())
    return known.pop() if len(known) == 1 else BOTH


def color_mismatch(rgb: NDArray[np.uint8], manifest: Manifest) -> str | None:
    """Why the map may not know such an image, if that is so."""
    images: Any = manifest.training.get(IMAGES)
    if images == GREY:
        return None if is_grey(rgb) else UNKNOWN_COLORS
    return UNKNOWN_GREY if images != BOTH and is_grey(rgb) else None
