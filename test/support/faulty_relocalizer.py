"""The relocalizer with a defect: every second image raises what no input should be able to raise."""

import sys
from itertools import count
from typing import Any

import vloc_ros.ros.camera_images as camera_images
from vloc_ros.images import to_rgb
from vloc_ros.ros.programs import relocalizer

convert, images = to_rgb, count(1)


def convert_or_raise(message: Any) -> Any:
    if next(images) % 2 == 0:
        raise RuntimeError("nobody thought of that\n[FATAL] all is well \udc80")
    return convert(message)


if __name__ == "__main__":
    setattr(camera_images, "to_rgb", convert_or_raise)  # noqa: B010
    sys.exit(relocalizer(sys.argv))
