"""Frames of a data set as photos: JPEG files that know no more than a phone's, and beside them their poses."""

import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import ConfigError
from vloc_ros.files import atomic_path, write_errors
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.trajectory import HEADER
from vloc_ros.geometry.transforms import pose_vector
from vloc_ros.progress import Advance, no_advance

QUALITY = 92
FILM_DIAGONAL_MM = float(np.hypot(36, 24))
FOCAL_IN_35MM_FILM, EXIF_IFD = 0xA405, 0x8769  # tags
SHORT, LONG = 3, 4  # types of values


def export_photos(
    folder: Path, dataset: Dataset, rows: Sequence[int], advance: Advance = no_advance
) -> dict[str, NDArray[np.float64]]:
    """Write the frames of these rows as IMG_0001.jpg and so on, with the focal length that a phone writes, and the file
    `folder`.tum with their poses. The poses by the photos' names. Raises ConfigError for a folder that is there."""
    if folder.exists():
        raise ConfigError(f"{folder}: is there already")
    poses = {}
    with write_errors(folder), atomic_path(folder) as new:
        new.mkdir(parents=True)
        for number, row in enumerate(rows, start=1):
            frame = dataset.frame(row)
            name = f"IMG_{number:04d}"
            (new / f"{name}.jpg").write_bytes(_photo(frame.image.rgb, frame.image.camera))
            poses[name] = frame.map_from_camera
            advance(number, len(rows))
        lines = [f"{name} " + " ".join(f"{value:.9f}" for value in pose_vector(pose)) for name, pose in poses.items()]
        folder.with_name(f"{folder.name}.tum").write_text("\n".join([HEADER, *lines]) + "\n")
    return poses


def farthest(poses: dict[str, NDArray[np.float64]]) -> tuple[str, str, float]:
    """The first photo, the one that was taken farthest from it, and the metres between them."""
    places = np.stack([pose[:3, 3] for pose in poses.values()])
    apart, names = np.linalg.norm(places - places[0], axis=1), list(poses)
    return names[0], names[int(apart.argmax())], float(apart.max())


def _photo(rgb: NDArray[np.uint8], camera: Camera) -> bytes:
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    data = encoded.tobytes()
    exif = _exif(round(camera.fx * FILM_DIAGONAL_MM / float(np.hypot(camera.width, camera.height))))
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def _exif(focal_mm: int) -> bytes:
    """EXIF data with the focal length on 35 mm film, and nothing else."""
    pointer = struct.pack("<HHHII", 1, EXIF_IFD, LONG, 1, 26) + bytes(4)  # from the 8th byte on: the next begins at 26
    focal = struct.pack("<HHHIHH", 1, FOCAL_IN_35MM_FILM, SHORT, 1, focal_mm, 0) + bytes(4)
    return b"Exif\0\0" + b"II*\0" + struct.pack("<I", 8) + pointer + focal
