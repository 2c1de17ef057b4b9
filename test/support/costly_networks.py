"""For tests: maps whose networks want more memory or time than a network may take."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, helper

from support.tiny_networks import SPEC, network
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.types import LandmarkMap
from vloc_ros.maps import pack_map, read_map, write_map


def packed_map(folder: Path, content: bytes) -> bytes:
    ids = np.arange(3, dtype=np.int32)
    manifest = Manifest("vsnet", "map", "2025-06-01T12:00:00Z", SPEC.image_size, SPEC.models)
    landmark_map = LandmarkMap(ids, np.eye(3), np.eye(3), np.ones(3), ids, manifest)
    write_map(folder / "tiny", landmark_map, {"network": {"float32": content}}, np.zeros((4, 4, 3), np.uint8))
    return pack_map(read_map(folder / "tiny"))


def costly(change: Callable[[ModelProto], None]) -> bytes:
    """The tiny network that does something besides what it is for."""
    model = ModelProto.FromString(network(1))
    change(model)
    return bytes(model.SerializeToString())


def with_huge_tensor(model: ModelProto) -> None:
    """16 GB of ones, added up into each output, so that nobody may leave them out."""
    graph = model.graph
    graph.initializer.append(helper.make_tensor("huge", TensorProto.INT64, [2], [1 << 16, 1 << 16]))
    one = helper.make_tensor("value", TensorProto.FLOAT, [1], [1e-9])
    graph.node.insert(0, helper.make_node("ConstantOfShape", ["huge"], ["ones"], value=one))
    graph.node.insert(1, helper.make_node("ReduceSum", ["ones"], ["sum"], keepdims=0))
    graph.node.insert(2, helper.make_node("Add", ["scale", "sum"], ["scaled"]))
    replace_scale(model)


def with_endless_work(model: ModelProto) -> None:
    """A few hundred products of 4096 x 4096 matrices made of the image: minutes to hours on any computer."""
    graph = model.graph
    graph.initializer.append(helper.make_tensor("side", TensorProto.INT64, [2], [4096, 4096]))
    graph.initializer.append(helper.make_tensor("first", TensorProto.INT64, [1], [0]))
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["floats"], ["total"], keepdims=0),
        helper.make_node("Expand", ["total", "side"], ["m0"]),
        *(helper.make_node("MatMul", [f"m{i}", f"m{i}"], [f"m{i + 1}"]) for i in range(400)),
        helper.make_node("ReduceSum", ["m400"], ["sum"], keepdims=0),
        helper.make_node("Add", ["scale", "sum"], ["scaled"]),
    ]
    for index, node in enumerate(nodes):
        graph.node.insert(index, node)
    replace_scale(model)


def replace_scale(model: ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "Mul":
            node.input[:] = ["scaled" if name == "scale" else name for name in node.input]
