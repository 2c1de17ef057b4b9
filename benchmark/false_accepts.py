"""False accepts: how many images of other places get a pose.

python benchmark/false_accepts.py --map MAP --images FOLDER [FOLDER ...]

Each image is cropped about its centre to the aspect ratio of the map's network input and given the focal length of a
60 degree lens: only the content may tell that it is another place.
"""

import argparse
import math
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from results import Results, add_json

from vloc_ros.cli.options import add_map
from vloc_ros.core.types import CameraImage, PoseEstimate
from vloc_ros.datasets.dataset_files import read_image
from vloc_ros.geometry.camera import Camera
from vloc_ros.localizer import load_localizer

FIELD_OF_VIEW_DEG = 60.0


def cropped(rgb: NDArray[np.uint8], size: tuple[int, int]) -> CameraImage:
    """The largest centred part of the image with the aspect ratio of `size`, width and height."""
    height, width = rgb.shape[:2]
    scale = min(width / size[0], height / size[1])
    w, h = round(size[0] * scale), round(size[1] * scale)
    y, x = (height - h) // 2, (width - w) // 2
    focal = 0.5 * w / math.tan(math.radians(FIELD_OF_VIEW_DEG / 2))
    camera = Camera(w, h, focal, focal, (w - 1) / 2, (h - 1) / 2)
    return CameraImage(np.ascontiguousarray(rgb[y : y + h, x : x + w]), camera)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_map(parser)
    parser.add_argument("--images", type=Path, nargs="+", required=True)
    add_json(parser)
    options = parser.parse_args()
    localizer = load_localizer(options.map)
    outcomes: Counter[str] = Counter()
    for path in sorted(p for folder in options.images for p in folder.glob("*.jpg")):
        result = localizer.localize(cropped(read_image(path), localizer.landmark_map.manifest.image_size))
        outcomes["ACCEPTED" if isinstance(result, PoseEstimate) else result.reason.value] += 1
    folders = ", ".join(folder.name for folder in options.images)
    results = Results(f"Data: images of other places: {folders}", {"outcome": "{outcome}", "images": "{images}"})
    for outcome, count in [("ACCEPTED", outcomes.pop("ACCEPTED", 0)), *outcomes.most_common()]:
        results.add(outcome=outcome, images=count)
    results.write(options.json)


if __name__ == "__main__":
    main()
