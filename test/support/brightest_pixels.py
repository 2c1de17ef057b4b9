"""A network as small as one can be that finds key points: the brightest pixels, described by their colours."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper


def brightest_pixels(width: int, height: int, count: int) -> tuple[list[NodeProto], Mapping[str, NDArray[np.generic]]]:
    """Nodes from `image` (B, height, width, 3) to `key_points` (B, count, 2), x and y, `scores` (B, count), their
    brightness, and `colors` (B, count, 3) in 0 .. 255; and the constants of these by name."""
    constants: Mapping[str, NDArray[np.generic]] = {
        "shape": np.array([0, height * width, 3]),
        "last": np.array([2]),
        "count": np.array([count]),
        "width": np.array(width),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["real", "shape"], ["pixels"]),
        helper.make_node("ReduceSum", ["pixels", "last"], ["brightness"], keepdims=0),
        helper.make_node("TopK", ["brightness", "count"], ["scores", "indices"]),
        helper.make_node("Unsqueeze", ["indices", "last"], ["rows"]),
        helper.make_node("Mod", ["rows", "width"], ["x"]),
        helper.make_node("Div", ["rows", "width"], ["y"]),
        helper.make_node("Concat", ["x", "y"], ["xy"], axis=2),
        helper.make_node("Cast", ["xy"], ["key_points"], to=TensorProto.FLOAT),
        helper.make_node("GatherND", ["pixels", "rows"], ["colors"], batch_dims=1),
    ]
    return nodes, constants
