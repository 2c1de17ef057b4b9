"""What the tests of the TensorRT backend share: small networks, images, and how to open a session."""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from vloc_ros.core.manifest import NetworkSpec
from vloc_ros.inference.backend import SessionSettings
from vloc_ros.inference.tensorrt import TensorRtSession
from vloc_ros.methods.vsnet import VsNet

SPEC = NetworkSpec(width=16, height=8, stride=4, outputs=VsNet.outputs)
H, W = 2, 4
REALS = ("confidences", "distances", "scales")


def network(
    batch: int | None = None,
    height: int = 8,
    votes_name: str = "votes",
    labels_type: int = TensorProto.INT32,
    first: str = "Cast",
    extra: tuple[str, ...] = (),
) -> bytes:
    """labels = channel 0 of each cell's top-left pixel, REALS = that / 255, votes = (that, -that) / 255.

    `batch`: of the input, None for any. `first`: what the image goes into. `extra`: operators nobody needs.
    """
    constants = [
        helper.make_tensor("from", TensorProto.INT64, [3], [0, 0, 0]),
        helper.make_tensor("to", TensorProto.INT64, [3], [10**6, 10**6, 1]),
        helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
        helper.make_tensor("steps", TensorProto.INT64, [3], [4, 4, 1]),
        helper.make_tensor("last", TensorProto.INT64, [1], [3]),
        helper.make_tensor("scale", TensorProto.FLOAT, [], [1 / 255]),
    ]
    real = [helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT)]
    if first != "Cast":
        real = [
            helper.make_node(first, ["image"], ["same"]),
            helper.make_node("Cast", ["same"], ["real"], to=TensorProto.FLOAT),
        ]
    nodes = [
        *real,
        helper.make_node("Slice", ["real", "from", "to", "axes", "steps"], ["cells"]),
        helper.make_node("Squeeze", ["cells", "last"], ["red"]),
        helper.make_node("Cast", ["red"], ["labels"], to=labels_type),
        helper.make_node("Mul", ["cells", "scale"], ["column"]),
        helper.make_node("Neg", ["column"], ["negative"]),
        helper.make_node("Concat", ["column", "negative"], [votes_name], axis=3),
        *(helper.make_node("Mul", ["red", "scale"], [name]) for name in REALS),
        *(helper.make_node(operator, ["real"], [f"extra{i}"]) for i, operator in enumerate(extra)),
    ]
    rows = (batch or "batch", height // 4, W)
    outputs = [
        helper.make_tensor_value_info("labels", labels_type, rows),
        helper.make_tensor_value_info(votes_name, TensorProto.FLOAT, (*rows, 2)),
        *(helper.make_tensor_value_info(name, TensorProto.FLOAT, rows) for name in REALS),
    ]
    inputs = [helper.make_tensor_value_info("image", TensorProto.UINT8, (batch or "batch", height, 16, 3))]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def images(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 16, 3), dtype=np.uint8)


class Said(list[str]):
    """What a session said."""

    @property
    def text(self) -> str:
        return "\n".join(self)


def open_tensorrt(
    content: bytes | None = None, spec: NetworkSpec = SPEC, max_batch: int = 1, said: Said | None = None
) -> TensorRtSession:
    settings = SessionSettings("float32", max_batch=max_batch, say=(Said() if said is None else said).append)
    return TensorRtSession(network() if content is None else content, spec, settings)
