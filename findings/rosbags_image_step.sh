#!/usr/bin/env bash
# rosbags-image 0.10.4 (PyPI; 28 November 2026, run with Python 3.11 on Linux): image_to_cvimage ignores the `step` of sensor_msgs/Image.
# Rows that are padded, as the message's definition allows and drivers with aligned buffers send, come out sheared: each row begins
# with the padding of the row before. No error is raised. An nv12 image (its encoding table lists nv12 and nv21, whose colour plane
# follows the luma plane) is read as height rows instead of 3/2 height, and OpenCV then refuses it.
#
# Seen:
#     4x2 mono8, step 4: [[0, 1, 2, 3], [4, 5, 6, 7]]
#     the same, step 6:  [[0, 1, 2, 3], [99, 99, 4, 5]]
#     4x2 nv12:          error
# Exits with 0 as long as that is so, with 1 where it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rosbags-image==0.10.4 rosbags==0.11.9 opencv-python-headless==4.14.0.94
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import cv2
import numpy as np
from rosbags.image import image_to_cvimage
from rosbags.typesys import Stores, get_typestore

types = get_typestore(Stores.ROS2_JAZZY).types
stamp = types["builtin_interfaces/msg/Time"](sec=0, nanosec=0)
header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera")


def read(rows: np.ndarray, encoding: str, height: int, width: int) -> np.ndarray:
    message = types["sensor_msgs/msg/Image"](
        header=header, height=height, width=width, encoding=encoding, is_bigendian=0, step=rows.shape[1], data=rows.reshape(-1)
    )
    return image_to_cvimage(message, "mono8" if encoding == "mono8" else "rgb8")


image = np.arange(8, dtype=np.uint8).reshape(2, 4)
padded = np.pad(image, ((0, 0), (0, 2)), constant_values=99)
plain, sheared = read(image, "mono8", 2, 4).tolist(), read(padded, "mono8", 2, 4).tolist()
print("4x2 mono8, step 4:", plain)
print("the same, step 6: ", sheared)
try:
    read(np.full((3, 4), 128, np.uint8), "nv12", 2, 4)
    nv12 = "taken"
except cv2.error:
    nv12 = "error"
print("4x2 nv12:         ", nv12)
sys.exit(0 if plain == image.tolist() and sheared == [[0, 1, 2, 3], [99, 99, 4, 5]] and nv12 == "error" else 1)
PYTHON
