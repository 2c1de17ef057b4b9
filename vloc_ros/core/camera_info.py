"""Cameras of sensor_msgs/CameraInfo and back, whichever library made the message."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.camera import Camera
from vloc_ros.errors import ConfigError

KNOWN_DISTORTIONS = ("", "plumb_bob", "rational_polynomial")  # those that Camera computes
Numbers = Sequence[float] | NDArray[np.float64]


class CameraInfo(Protocol):
    """The fields of sensor_msgs/msg/CameraInfo that matter here."""

    width: int
    height: int
    distortion_model: str
    d: Numbers
    k: Numbers
    p: Numbers
    binning_x: int
    binning_y: int
    roi: Any


def to_camera(info: CameraInfo, rectified: bool) -> Camera:
    """The camera of a camera_info, binning and region of interest included; of its rectified images, if `rectified`.

    Raises ConfigError for an uncalibrated camera, numbers that are none, and distortion models that are not known.
    """
    what = f"camera_info {info.width}x{info.height}"
    calibration = np.array(info.p if rectified else info.k, dtype=np.float64).reshape(3, -1)
    distortion = () if rectified else _distortion(info, what)
    try:
        camera = Camera(
            width=info.width,
            height=info.height,
            fx=calibration[0, 0],
            fy=calibration[1, 1],
            cx=calibration[0, 2],
            cy=calibration[1, 2],
            distortion=distortion,
        )
        return _windowed(camera, info)
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from error


def info_fields(camera: Camera) -> dict[str, Any]:
    """The calibration as a driver publishes it: the fields of a CameraInfo but for header, binning and roi."""
    k = camera.matrix
    return {
        "width": camera.width,
        "height": camera.height,
        "distortion_model": "rational_polynomial" if len(camera.distortion) > 5 else "plumb_bob",
        "d": list(camera.distortion or (0.0,) * 5),
        "k": k.ravel(),
        "r": np.eye(3).ravel(),
        "p": np.column_stack([k, np.zeros(3)]).ravel(),
    }


def _distortion(info: CameraInfo, what: str) -> tuple[float, ...]:
    coefficients = tuple(float(value) for value in info.d)
    if info.distortion_model not in KNOWN_DISTORTIONS and any(coefficients):
        raise ConfigError(
            f"{what}: distortion model {info.distortion_model!r} is not supported; "
            "rectify the images (image_proc) and set image_rectified"
        )
    return coefficients if any(coefficients) else ()


def _windowed(camera: Camera, info: CameraInfo) -> Camera:
    """The camera of the part of the image that is sent, and of the pixels that are joined."""
    roi = info.roi
    width, height = roi.width or camera.width, roi.height or camera.height
    cx, cy = camera.cx - roi.x_offset, camera.cy - roi.y_offset
    window = Camera(width, height, camera.fx, camera.fy, cx, cy, camera.distortion)
    return window.resized(width // (info.binning_x or 1), height // (info.binning_y or 1))
