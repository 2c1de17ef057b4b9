"""Cameras of sensor_msgs/CameraInfo and back, whichever library made the message."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera

# By name, the cameras that compute it. Others are no pinhole even if all coefficients are zero.
LENS_MODELS: dict[str, type[Camera]] = {
    "": Camera,
    "plumb_bob": Camera,
    "rational_polynomial": Camera,
    "equidistant": FisheyeCamera,
    "fisheye": FisheyeCamera,  # as some drivers call it
}
MAX_SKEW = 1e-3  # as a share of the focal length: a quarter of a pixel at the edge of a usual image
LEAST_BASELINE_M = 1e-3
Numbers = Sequence[float] | NDArray[np.float64]
Matrix = NDArray[np.float64]


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


@dataclass(frozen=True)
class InfoOptions:
    """How a camera_info is meant, and what these settings are called where people make them.

    `rectified`: the images are undistorted already, P is theirs and not K and D. `frame_named`: the frame of the
    optical centre is known otherwise than from the header.
    """

    rectified: bool = False
    frame_named: bool = False
    rectified_name: str = "image_rectified"
    frame_name: str = "camera_frame"


@dataclass(frozen=True)
class SensorCamera:
    """What a camera_info says: the camera of all pixels (`whole`), and of the region that is sent, pixels joined as
    its binning says (`sent`). Without region and binning they are the same."""

    whole: Camera
    sent: Camera

    def of_image(self, width: int, height: int) -> Camera:
        """The camera of an image of this size: some drivers send all pixels whatever their camera_info says, or put the
        size after binning into it. Raises ConfigError for any other size."""
        for camera in (self.sent, self.whole):
            if (width, height) == (camera.width, camera.height):
                return camera
        sizes = f"{self.sent.width}x{self.sent.height}"
        if self.sent != self.whole:
            sizes += f", or {self.whole.width}x{self.whole.height} without region and binning"
        raise ConfigError(f"image: {width}x{height} pixels, but its camera is {sizes}")


def read_camera_info(info: CameraInfo, options: InfoOptions = InfoOptions()) -> SensorCamera:
    """The camera of a camera_info, as REP-104 has it: K, P and the region of interest are those of the full resolution
    width x height.

    Raises ConfigError for an uncalibrated camera, numbers that are none, regions outside of the image, and cameras that
    this package does not compute: unknown lens models, skew. The second camera of a stereo pair (P's Tx and Ty) needs
    `options.frame_named`.
    """
    what = f"camera_info {info.width}x{info.height}{_region(info)}"
    try:
        lens, distortion = (Camera, ()) if options.rectified else _lens(info, options)
        whole = _whole(info, lens, distortion, options)
        _require_own_frame(info, options)
        return SensorCamera(whole, _sent(whole, info))
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from error


def info_fields(camera: Camera) -> dict[str, Any]:
    """The calibration as a driver publishes it: the fields of a CameraInfo but for header, binning and roi."""
    k = camera.matrix
    return {
        "width": camera.width,
        "height": camera.height,
        "distortion_model": _model_name(camera),
        "d": list(camera.distortion or (0.0,) * (4 if isinstance(camera, FisheyeCamera) else 5)),
        "k": k.ravel(),
        "r": np.eye(3).ravel(),
        "p": np.column_stack([k, np.zeros(3)]).ravel(),
    }


def _model_name(camera: Camera) -> str:
    if isinstance(camera, FisheyeCamera):
        return "equidistant"
    return "rational_polynomial" if len(camera.distortion) > 5 else "plumb_bob"


def _region(info: CameraInfo) -> str:
    """The region of interest and binning for people, "" for none."""
    x, y, width, height = window = _window(info)
    columns, rows = _binning(info)
    region = "" if window == (0, 0, info.width, info.height) else f", roi {width}x{height} at ({x}, {y})"
    return region + ("" if columns == rows == 1 else f", binning {columns}x{rows}")


def _window(info: CameraInfo) -> tuple[int, int, int, int]:
    """x, y, width and height of the region of interest, in pixels of the full resolution."""
    roi = info.roi
    return roi.x_offset, roi.y_offset, roi.width or info.width, roi.height or info.height


def _binning(info: CameraInfo) -> tuple[int, int]:
    """How many columns and rows are joined to one."""
    return info.binning_x or 1, info.binning_y or 1


def _matrices(info: CameraInfo, rectified: bool) -> tuple[Matrix, Matrix]:
    """The matrix that holds for the images, and the other one."""
    k, p = (np.array(values, dtype=np.float64).reshape(3, -1) for values in (info.k, info.p))
    return (p, k) if rectified else (k, p)


def _whole(info: CameraInfo, lens: type[Camera], distortion: tuple[float, ...], options: InfoOptions) -> Camera:
    matrix, other = _matrices(info, options.rectified)
    name, other_name = ("P", "K") if options.rectified else ("K", "P")
    if matrix[0, 0] == 0 and other[0, 0] > 0:
        raise ConfigError(
            f"{name} is zero (uncalibrated), but {other_name} is not: are the images "
            f"{'not rectified? unset' if options.rectified else 'rectified? set'} {options.rectified_name}"
        )
    (fx, skew, cx), (_, fy, cy) = matrix[:2, :3].tolist()
    camera = lens(info.width, info.height, fx, fy, cx, cy, distortion=distortion)
    if not abs(skew) <= MAX_SKEW * camera.fx:  # not `>`: NaN has to fail too
        raise ConfigError(f"{name}[0][1] = {skew:.6g} is a skew, which is not supported: calibrate without one")
    return camera


def _lens(info: CameraInfo, options: InfoOptions) -> tuple[type[Camera], tuple[float, ...]]:
    """What kind of camera it is, and its coefficients; none of zeros."""
    coefficients = tuple(float(value) for value in info.d)
    if info.distortion_model not in LENS_MODELS:
        raise ConfigError(
            f"distortion model {info.distortion_model!r} is not supported; "
            f"rectify the images (image_proc) and set {options.rectified_name}"
        )
    lens = LENS_MODELS[info.distortion_model]
    if len(coefficients) not in lens.DISTORTION_SIZES:  # zeros, too: what else is wrong with such a message?
        raise ConfigError(f"{len(coefficients)} distortion coefficients, known are {lens.DISTORTION_SIZES}")
    return lens, coefficients if any(coefficients) else ()


def _require_own_frame(info: CameraInfo, options: InfoOptions) -> None:
    """Raise ConfigError for the second camera of a stereo pair, unless somebody has said where its optical centre is.

    sensor_msgs has two rules for the frame in the header: it is at the camera's optical centre, and P takes points from
    it, which puts it at that of the first camera. Drivers keep either one, and the poses differ by the baseline.
    """
    focal, tx, ty = (float(info.p[index]) for index in (0, 3, 7))
    baseline_m = math.hypot(tx, ty) / focal if focal > 0 else 0.0
    if LEAST_BASELINE_M < baseline_m < math.inf and not options.frame_named:
        raise ConfigError(
            f"P's Tx, Ty = {tx:.6g}, {ty:.6g} make it the second camera of a stereo pair, {100 * baseline_m:.3g} cm "
            f"from the first, and the frame in its header may be either one's: set {options.frame_name} to the frame "
            "of this camera's own optical centre"
        )


def _sent(whole: Camera, info: CameraInfo) -> Camera:
    """The camera of the region that is sent, whose pixels are joined; what does not fill a pixel is left out."""
    x, y, width, height = _window(info)
    whole.window(x, y, width, height)  # has to be inside, with all that is left out
    columns, rows = _binning(info)
    wide, high = width // columns, height // rows
    return whole.window(x, y, wide * columns, high * rows).resized(wide, high)
