"""For tests: image messages of rclpy and of rosbags with the same fields, and images to put into them."""

import array
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

KINDS = (
    pytest.param("rclpy", marks=pytest.mark.needs("rclpy", "sensor_msgs")),
    pytest.param("rosbags", marks=pytest.mark.needs("rosbags")),
)
Message = Callable[[str], Callable[..., Any]]


def message_class(kind: str, name: str) -> Callable[..., Any]:
    """Makes messages of sensor_msgs/msg/`name`, whose `data` are given as bytes."""
    if kind == "rclpy":
        made = resolve_name(f"sensor_msgs.msg.{name}")
        return lambda data, **fields: made(**fields, data=array.array("B", data))
    from vloc_ros.bags.messages import header
    from vloc_ros.bags.reader import typestore

    type_ = typestore().types[f"sensor_msgs/msg/{name}"]
    return lambda data, **fields: type_(header=header(0, "camera"), **fields, data=np.frombuffer(data, np.uint8))


def raw_fields(encoding: str, values: NDArray[Any], padding: int = 0, **changes: Any) -> dict[str, Any]:
    """Fields of an Image whose rows are `values` (H, ...) in the machine's byte order, each followed by padding."""
    rows = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    size = {"height": values.shape[0], "width": values.shape[1]}
    return {**size, "encoding": encoding, "is_bigendian": 0, "step": rows.shape[1], "data": rows.tobytes(), **changes}


def encoded(rgb: NDArray[Any], ending: str = ".jpg", *flags: int) -> bytes:
    """The content of an image file of RGB (H, W, 3) or grey (H, W)."""
    image = rgb if rgb.ndim == 2 else cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(ending, image, list(flags))[1].tobytes())
