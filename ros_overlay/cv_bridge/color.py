"""Encodings of image messages, and conversions between them by OpenCV."""

import re
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]

# OpenCV's name of a depth -> NumPy's.
DTYPES = {
    "8U": "uint8",
    "8S": "int8",
    "16U": "uint16",
    "16S": "int16",
    "32S": "int32",
    "32F": "float32",
    "64F": "float64",
}
# Families of encodings, which 8 or 16 bits make encodings of -> OpenCV's name, channels.
COLORS = {"mono": ("GRAY", 1), "rgb": ("RGB", 3), "bgr": ("BGR", 3), "rgba": ("RGBA", 4), "bgra": ("BGRA", 4)}
# ROS names a pattern after its first two rows and columns, OpenCV after the second of both.
BAYER = {
    "bayer_rggb": ("BayerBG", 1),
    "bayer_bggr": ("BayerRG", 1),
    "bayer_gbrg": ("BayerGR", 1),
    "bayer_grbg": ("BayerGB", 1),
}
FAMILIES = COLORS | BAYER
YUV = {"yuv422": "UYVY", "yuv422_yuy2": "YUY2"}


def cv_type(encoding: str) -> tuple[str, int]:
    """Depth ("8U") and channels of an encoding. Raises ValueError for an unknown one."""
    family, bits = _family(encoding)
    if family:
        return f"{bits}U", 2 if family in YUV else FAMILIES[family][1]
    match = re.fullmatch(r"(8U|8S|16U|16S|32S|32F|64F)(?:C([0-9]+))?", encoding)
    if not match:
        raise ValueError(f"unknown image encoding {encoding!r}")
    return match[1], int(match[2] or 1)


def generic_encoding(dtype_name: str, channels: int) -> str:
    """For example "8UC3". Raises KeyError for a type that OpenCV does not have."""
    depths = {dtype: depth for depth, dtype in DTYPES.items()}
    return f"{depths[dtype_name]}C{channels}"


def converted(image: Image, source: str, target: str) -> Image:
    """A copy of an image in another encoding. Raises ValueError or cv2.error where there is no conversion."""
    if source == target:
        return image.copy()
    (source_family, source_bits), (target_family, target_bits) = _family(source), _family(target)
    (_, source_channels), (target_depth, target_channels) = cv_type(source), cv_type(target)
    if target_family and not source_family:
        raise ValueError(f"{source!r} does not say what its channels are, {target!r} does")
    if not target_family and source_channels != target_channels:
        raise ValueError(f"{source!r} and {target!r} differ in their number of channels")
    if target_family and source_family != target_family:
        image = cv2.cvtColor(image, _conversion(source_family, target_family))
        if source_bits == target_bits:
            return image
    # Rounded and saturated; between 8 and 16 bits white stays white.
    scale = {(8, 16): 65535 / 255, (16, 8): 255 / 65535}.get((source_bits, target_bits), 1.0)
    return np.asarray(cv2.addWeighted(image, scale, image, 0.0, 0.0, dtype=getattr(cv2, f"CV_{target_depth}")))


def _family(encoding: str) -> tuple[str, int]:
    """What the channels are, "" for those of the generic encodings, and the bits of each."""
    if encoding in YUV:
        return encoding, 8
    match = re.fullmatch(r"([a-z_]+)(8|16)", encoding)
    if match and match[1] in FAMILIES:
        return match[1], int(match[2])
    generic = re.match(r"[0-9]+", encoding)
    return "", int(generic[0]) if generic else 0


def _conversion(source: str, target: str) -> int:
    """OpenCV's code between two families, which has its name."""
    if target not in COLORS or (source in BAYER and target in ("rgba", "bgra")):
        raise ValueError(f"no conversion from {source!r} to {target!r}")
    opencv_target = COLORS[target][0]
    if source in YUV:
        return int(getattr(cv2, f"COLOR_YUV2{opencv_target}_{YUV[source]}"))
    return int(getattr(cv2, f"COLOR_{FAMILIES[source][0]}2{opencv_target}"))
