"""The scale of a reconstruction from square markers of known size (ArUco, AprilTag), found by OpenCV."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.dataset_files import read_image
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import invert

Float = NDArray[np.float64]

DICTIONARY = "apriltag_36h11"
MAX_ERROR_PX = 3.0  # of a corner, in every image: else there are two markers of one number, or it moved
LEAST_ANGLE_DEG = 2.0  # between the rays to a corner


def find_dictionary(name: str) -> int:
    """OpenCV's number of a dictionary: `4x4_50`, `apriltag_36h11`, ... Raises ConfigError."""
    known = {each.removeprefix("DICT_").lower(): each for each in dir(cv2.aruco) if each.startswith("DICT_")}
    if name.lower() not in known:
        raise ConfigError(f"--scale markers: dictionary '{name}' is unknown, known are {', '.join(sorted(known))}")
    return int(getattr(cv2.aruco, known[name.lower()]))


def marker_scale(
    files: Sequence[Path], poses: Float, camera: Camera, size_m: float, dictionary: str
) -> tuple[float, str]:
    """Metres for a unit of the poses (F, 4, 4), and that in a line for people. Raises DatasetError without markers that
    several images see."""
    seen = _markers_seen(files, camera, find_dictionary(dictionary))
    edges, left_out = [], 0
    for views in seen.values():
        if len(views) < 2:
            continue
        rows = [row for row, _ in views]
        corners = _triangulated(poses[rows], np.stack([pixels for _, pixels in views]), camera)
        if corners is None:
            left_out += 1
            continue
        edges.append(np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1))
    if not edges:
        several = sum(len(views) > 1 for views in seen.values())
        raise DatasetError(
            f"--scale markers: {len(seen)} markers of {dictionary} in {len(files)} images, {several} of them in "
            f"several images, none of them seen well from different places: is it the right dictionary?"
        )
    lengths = np.concatenate(edges)
    middle = float(np.median(lengths))
    spread = 100 * float(np.median(np.abs(lengths / middle - 1)))
    dropped = f", {left_out} left out: moved, twice there or badly seen" if left_out else ""
    return size_m / middle, f"scale: from {len(edges)} markers, whose edges differ by {spread:.1f} % (median){dropped}"


def _markers_seen(files: Sequence[Path], camera: Camera, number: int) -> dict[int, list[tuple[int, Float]]]:
    """By the marker's number: rows of images, and its corners (4, 2) in the undistorted image of each."""
    dictionary = cv2.aruco.getPredefinedDictionary(number)
    seen = defaultdict(list)
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    detector = cv2.aruco.ArucoDetector(dictionary, parameters)
    for row, file in enumerate(files):
        grey = cv2.cvtColor(read_image(file), cv2.COLOR_RGB2GRAY)
        corners, numbers, _ = detector.detectMarkers(grey)
        for found, number_found in zip(corners, [] if numbers is None else numbers.ravel().tolist(), strict=True):
            pixels = found.reshape(4, 2).astype(np.float64)
            flat = camera.undistort_pixels(pixels, camera.undistorted()) if camera.is_distorted else pixels
            seen[number_found].append((row, flat))
    return seen


def _triangulated(poses: Float, pixels: Float, camera: Camera) -> Float | None:
    """Corners (4, 3) of a marker that V cameras (V, 4, 4) see at pixels (V, 4, 2); None where that does not fit."""
    rays = np.concatenate([(pixels - (camera.cx, camera.cy)) / (camera.fx, camera.fy), np.ones((len(pixels), 4, 1))], 2)
    rays = np.einsum("vij,vkj->vki", poses[:, :3, :3], rays / np.linalg.norm(rays, axis=2, keepdims=True))
    cosines = np.einsum("vki,wki->kvw", rays, rays).min(axis=(1, 2))
    if np.degrees(np.arccos(np.clip(cosines.max(), -1, 1))) < LEAST_ANGLE_DEG:
        return None
    across = np.eye(3) - rays[..., :, None] * rays[..., None, :]  # of each ray: the nearest point to all of them
    centres = poses[:, :3, 3]
    corners = np.linalg.solve(across.sum(axis=0), np.einsum("vkij,vj->ki", across, centres)[..., None])[..., 0]
    camera_from_map = invert(poses)
    for pose, there in zip(camera_from_map, pixels, strict=True):
        projected, _ = camera.project(corners @ pose[:3, :3].T + pose[:3, 3])
        if not np.linalg.norm(projected - there, axis=1).max() <= MAX_ERROR_PX:
            return None
    return np.asarray(corners)
