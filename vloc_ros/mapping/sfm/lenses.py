"""COLMAP's camera models and ours. COLMAP's pixels count from the image's corner, ours from the first one's centre."""

from collections.abc import Sequence

from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera

ESTIMATED_MODEL = "SIMPLE_RADIAL"  # f, cx, cy, k1: what photos of a phone can tell

# How many parameters each of COLMAP's models has that ours can be.
PARAMS = {
    "SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8, "FULL_OPENCV": 12,
    "SIMPLE_RADIAL_FISHEYE": 4, "RADIAL_FISHEYE": 5, "OPENCV_FISHEYE": 8,
}  # fmt: skip
ONE_FOCAL_LENGTH = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")


def colmap_camera(camera: Camera) -> tuple[str, list[float]]:
    """The model's name and its parameters. Raises ConfigError for a lens that COLMAP has none for."""
    k = camera.distortion
    pinhole = [camera.fx, camera.fy, camera.cx + 0.5, camera.cy + 0.5]
    if isinstance(camera, FisheyeCamera):
        return "OPENCV_FISHEYE", [*pinhole, *(k or (0.0,) * 4)]
    if not camera.is_distorted:
        return "PINHOLE", pinhole
    if len(k) == 4:
        return "OPENCV", [*pinhole, *k]
    if len(k) in (5, 8):
        return "FULL_OPENCV", [*pinhole, *k, *(0.0,) * (8 - len(k))]
    raise ConfigError(f"camera: COLMAP has no lens with {len(k)} coefficients, only with 4, 5 and 8")


def camera_from_colmap(model: str, width: int, height: int, params: Sequence[float]) -> Camera:
    """The camera of a model with those parameters. Raises DatasetError for a lens that we have none for."""
    if model not in PARAMS:
        raise DatasetError(f"camera model {model} is not supported: undistort the images with COLMAP first")
    p = [float(value) for value in params[: PARAMS[model]]]
    lens: type[Camera] = Camera
    focal, centre, k = p[:2], p[2:4], p[4:]
    if model in ONE_FOCAL_LENGTH:
        focal, centre, k = [p[0], p[0]], p[1:3], p[3:]
    if model.endswith("FISHEYE"):
        lens = FisheyeCamera
    if model.endswith(("RADIAL", "FISHEYE")):
        k = [*k, *(0.0,) * (4 - len(k))]
    (fx, fy), (cx, cy) = focal, centre
    try:
        return lens(width, height, fx, fy, cx - 0.5, cy - 0.5, tuple(k))
    except ConfigError as error:
        raise DatasetError(str(error)) from error
