"""Bags of a camera that looks at a wall, with depth, to be unpacked into keyframes."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from support.bag_scenes import CAMERA_FRAME, place, stamp, write_tf
from vloc_ros.bags import messages
from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import CAMERA_INFO, RAW_IMAGE, STATIC_TF_TOPIC, TF
from vloc_ros.bags.writer import BagWriter
from vloc_ros.datasets.bag_recording import RECORD, RecordingOptions, unpack_recording
from vloc_ros.errors import VlocError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.progress import Silent

COLOR = Camera(64, 48, 55.0, 55.0, 31.5, 23.5)
DEPTH = Camera(48, 36, 44.0, 44.0, 23.5, 17.5)
DEPTH_FRAME = "depth_frame"
COLOR_FROM_DEPTH = from_quaternion((0.0, 0.0, 0.0, 1.0), (-0.06, 0.01, 0.0))
FLOOR_Z = 4.0  # of a wall across the map's z axis, which all images look at
TF_POSES = BagOptions(truth=GroundTruthOptions("tf"))


def wall_depth(camera: Camera, map_from_camera: np.ndarray) -> np.ndarray:
    """Depth (H, W) of that wall, in the camera's image as it is."""
    pixels = np.stack(np.meshgrid(np.arange(float(camera.width)), np.arange(float(camera.height))), axis=-1)
    plain = camera.undistorted()
    there = camera.undistort_pixels(pixels.reshape(-1, 2), plain) if camera.is_distorted else pixels.reshape(-1, 2)
    rays = np.column_stack([(there - (plain.cx, plain.cy)) / (plain.fx, plain.fy), np.ones(len(there))])
    slopes = rays @ map_from_camera[2, :3]
    depth = np.where(slopes > 0.1, (FLOOR_Z - map_from_camera[2, 3]) / np.maximum(slopes, 0.1), 0)
    return depth.reshape(camera.height, camera.width).astype(np.float32)


def picture(index: int, camera: Camera, blur: float = 0.0) -> np.ndarray:
    tiles = np.random.default_rng(index // 2).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    image = cv2.resize(tiles, (camera.width, camera.height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), blur) if blur else image, dtype=np.uint8)


def write_color(bag: BagWriter, index: int, camera: Camera = COLOR, blur: float = 0.0) -> None:
    at = stamp(index)
    write_tf(bag, index, "map", CAMERA_FRAME, place(at))
    bag.write("/cam/camera_info", CAMERA_INFO, at, messages.camera_info(at, CAMERA_FRAME, camera))
    bag.write("/cam/image_raw", RAW_IMAGE, at, messages.image(at, CAMERA_FRAME, picture(index, camera, blur)))


def write_depth(bag: BagWriter, at: int, camera: Camera, frame: str, color_from_depth: np.ndarray) -> None:
    depth = wall_depth(camera, place(at) @ color_from_depth)
    bag.write("/depth/camera_info", CAMERA_INFO, at, messages.camera_info(at, frame, camera))
    bag.write("/depth/image_raw", RAW_IMAGE, at, messages.depth_image(at, frame, depth))


def write_static(bag: BagWriter) -> None:
    link = messages.transform(stamp(0), CAMERA_FRAME, DEPTH_FRAME, COLOR_FROM_DEPTH)
    bag.write(STATIC_TF_TOPIC, TF, stamp(0), messages.transforms(link))


def fault(tmp_path: Path, options: RecordingOptions) -> str:
    with pytest.raises(VlocError) as caught:
        unpack_recording(tmp_path / "bag", tmp_path / "out", options, "map")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / RECORD).exists()
    return str(caught.value)


class Lines(Silent):
    """What is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)
