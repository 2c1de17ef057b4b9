"""`vloc localize`: where was this image taken?"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.cli.command import Command
from vloc_ros.cli.options import add_map, add_session, opened_map, session_options, warn_of_cameras
from vloc_ros.core.places import in_map_frame
from vloc_ros.core.types import CameraImage, PoseEstimate, Rejection
from vloc_ros.datasets.dataset_files import check_size, read_image
from vloc_ros.datasets.folder import CAMERA_FILE, camera_file, lens_words, read_camera
from vloc_ros.drawing.overlay import draw_overlay, write_picture
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.pose_error import RIGHT_POSE
from vloc_ros.geometry.transforms import to_quaternion

EXIT_REJECTED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path, metavar="IMAGE", help="JPEG or PNG file")
    add_map(parser)
    parser.add_argument(
        "--camera",
        metavar="FILE|FX,FY,CX,CY",
        help="a camera.txt, or the intrinsics in pixels of this image and, after them, the distortion coefficients, "
        "the word fisheye if they are of such a lens, and cropped if the image is a part of a larger one "
        "(default: the camera.txt in the image's folder or the one above)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    add_session(parser)
    parser.add_argument("--overlay", type=Path, metavar="PNG", help="draw landmarks, votes and reprojection")


def run(options: argparse.Namespace) -> int:
    image = _read_image(options.image, options.camera)
    localizer = opened_map(options, session_options(options))
    warn_of_cameras(localizer, [image.camera])
    localizer.localize(image)  # compiles what is compiled at the first call, so that the times below are true
    result = localizer.localize(image)
    manifest = localizer.landmark_map.manifest
    told, frame_id = result, ""
    if isinstance(result, PoseEstimate):
        told, frame_id = in_map_frame(result, manifest), manifest.frame_to_publish(result.place)  # as nodes publish it
    if options.json:
        print(json.dumps(_to_json(told, frame_id), indent=1, allow_nan=False))
    else:
        print(_to_text(told, frame_id))
    if options.overlay:
        write_picture(options.overlay, draw_overlay(localizer, image, result))
    return EXIT_REJECTED if isinstance(result, Rejection) else 0


def _read_image(path: Path, camera_option: str | None) -> CameraImage:
    rgb = read_image(path)
    height, width = rgb.shape[:2]
    file = _camera_file(path) if camera_option is None else Path(camera_option)
    if camera_option is not None and not os.path.isfile(camera_option):  # of a name of any length
        return CameraImage(rgb, _parse_camera(camera_option, width, height))
    check_size(path, rgb, *_size(camera := read_camera(file)))
    return CameraImage(rgb, camera)


def _size(camera: Camera) -> tuple[int, int]:
    return camera.width, camera.height


def _camera_file(image: Path) -> Path:
    of_rig = image.parents[min(2, len(image.parents) - 1)] / camera_file(image.parent.name)
    for file in (image.parent / CAMERA_FILE, image.parent.parent / CAMERA_FILE, of_rig):
        if file.is_file():
            return file
    raise ConfigError(f"{image}: no {CAMERA_FILE} beside or above it; give the camera: --camera FILE or FX,FY,CX,CY")


def _parse_camera(text: str, width: int, height: int) -> Camera:
    try:
        words, lens, cropped = lens_words([word.strip() for word in text.split(",")])
        fx, fy, cx, cy, *distortion = (float(word) for word in words)
        return lens(width, height, fx, fy, cx, cy, tuple(distortion), cropped)
    except ValueError:
        raise ConfigError(f"--camera {text}: neither a file nor FX,FY,CX,CY in pixels") from None
    except ConfigError as error:
        raise ConfigError(f"--camera {text}: {error}") from error


def _to_json(result: PoseEstimate | Rejection, frame_id: str) -> dict[str, Any]:
    common = {**({"scene": result.place} if result.place else {}), "latency_ms": dict(result.timings_ms)}
    if isinstance(result, Rejection):
        return {"status": "rejected", "reason": result.reason.value, "detail": result.detail, **common}
    return {
        "status": "localized",
        "frame_id": frame_id,
        "position_m": result.map_from_camera[:3, 3].tolist(),
        "quat_xyzw": to_quaternion(result.map_from_camera[:3, :3]).tolist(),
        "map_from_camera": result.map_from_camera.tolist(),
        "covariance": result.covariance.tolist(),
        "correspondences": len(result.correspondences),
        "inliers": result.inlier_count,
        "inlier_ratio": result.inlier_ratio,
        "reprojection_rmse_px": result.reprojection_rmse_px,
        "confidence": result.confidence,
        **common,
    }


def _to_text(result: PoseEstimate | Rejection, frame_id: str) -> str:
    latency = "latency     " + ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in result.timings_ms.items())
    place = f"place       {result.place}\n" if result.place else ""
    if isinstance(result, Rejection):
        return f"rejected    {result.reason.value}: {result.detail}\n{place}{latency}"
    sigmas = np.sqrt(np.diag(result.covariance))
    rows = [
        f"position    {_numbers(result.map_from_camera[:3, 3], 4)} m, camera in frame '{frame_id}'",
        f"  sigma     {_numbers(sigmas[:3] * 100, 2)} cm",
        f"quaternion  {_numbers(to_quaternion(result.map_from_camera[:3, :3]), 5)} (x y z w)",
        f"  sigma     {_numbers(np.rad2deg(sigmas[3:]), 3)} deg, about X Y Z of the map",
        f"inliers     {result.inlier_count} of {result.evidence.correspondences} landmarks, "
        f"reprojection RMSE {result.reprojection_rmse_px:.2f} px",
        f"confidence  {result.confidence:.3f} to be within {RIGHT_POSE}",
        latency,
    ]
    return place + "\n".join(rows)


def _numbers(values: NDArray[np.float64], digits: int) -> str:
    return " ".join(f"{value:.{digits}f}" for value in values)


COMMAND = Command(
    "Localize one image. Exit code 0: a pose; 3: no pose that can be believed, with the reason.", add_arguments, run
)
