"""A network so small that what it says can be told by hand, and what can be wrong with one."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vloc_ros.core.model_spec import GridSpec, ModelSpec, TensorSpec
from vloc_ros.errors import ModelError
from vloc_ros.inference import open_session
from vloc_ros.methods.vsnet.method import VSNetMethod

SPEC = GridSpec(width=16, height=8, stride=4, outputs=VSNetMethod.outputs)
H, W = 2, 4
REALS = ("confidences", "distances", "scales")


def network(
    batch: int | None = None,
    image: tuple[int, int, int] = (8, 16, 3),
    input_name: str = "image",
    input_type: int = TensorProto.UINT8,
    votes_name: str = "votes",
    votes: NDArray[np.float32] | None = None,
    labels_type: int = TensorProto.INT32,
    first: str = "Cast",
    extra: tuple[str, ...] = (),
    external: str = "",
) -> bytes:
    """labels = channel 0 of each cell's top-left pixel, REALS = that / 255, votes = (that, -that) / 255.

    `batch`, `image`: shape of the input, `batch` None for any. `votes`: what these are instead. `first`: what the image
    goes into. `extra`: operators nobody needs. `external`: the file that has one of the constants.
    """
    constants = [
        helper.make_tensor("from", TensorProto.INT64, [3], [0, 0, 0]),
        helper.make_tensor("to", TensorProto.INT64, [3], [10**6, 10**6, 1]),
        helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
        helper.make_tensor("steps", TensorProto.INT64, [3], [4, 4, 1]),
        helper.make_tensor("last", TensorProto.INT64, [1], [3]),
        helper.make_tensor("scale", TensorProto.FLOAT, [], [1 / 255]),
    ]
    if external:
        constants[-1].ClearField("float_data")
        constants[-1].data_location = TensorProto.EXTERNAL
        constants[-1].external_data.add(key="location", value=external)
    nodes = [
        *([helper.make_node(first, [input_name], ["same"])] if first != "Cast" else []),
        helper.make_node("Cast", [input_name if first == "Cast" else "same"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["real", "from", "to", "axes", "steps"], ["cells"]),
        helper.make_node("Squeeze", ["cells", "last"], ["red"]),
        helper.make_node("Cast", ["red"], ["labels"], to=labels_type),
        *(helper.make_node("Mul", ["red", "scale"], [name]) for name in REALS),
        *_votes(votes_name, votes),
        *(helper.make_node(operator, ["real"], [f"extra{i}"]) for i, operator in enumerate(extra)),
    ]
    rows = (batch or "batch", -(-image[0] // 4), -(-image[1] // 4))
    outputs = [
        helper.make_tensor_value_info("labels", labels_type, rows),
        helper.make_tensor_value_info(votes_name, TensorProto.FLOAT, (*rows, 2) if votes is None else votes.shape),
        *(helper.make_tensor_value_info(name, TensorProto.FLOAT, rows) for name in REALS),
    ]
    inputs = [helper.make_tensor_value_info(input_name, input_type, (batch or "batch", *image))]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def _votes(name: str, values: NDArray[np.float32] | None) -> list[Any]:
    if values is not None:
        return [helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values))]
    return [
        helper.make_node("Mul", ["cells", "scale"], ["column"]),
        helper.make_node("Neg", ["column"], ["negative"]),
        helper.make_node("Concat", ["column", "negative"], [name], axis=3),
    ]


TWO_INPUTS = ModelSpec(
    {"image": TensorSpec("uint8", (8, 16, 3)), "weights": TensorSpec("float32", (5,))},
    {"weighted": TensorSpec("float32", (5,))},
)


def network_of_two_inputs(batch: int | None = None) -> bytes:
    """weighted = weights times the brightest value of the image."""
    inputs, outputs = (
        [
            helper.make_tensor_value_info(
                name,
                TensorProto.UINT8 if tensor.element == "uint8" else TensorProto.FLOAT,
                (batch or "batch", *tensor.shape),
            )
            for name, tensor in tensors.items()
        ]
        for tensors in (TWO_INPUTS.inputs, TWO_INPUTS.outputs)
    )
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["real"], ["brightest"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["brightest", "last"], ["column"]),
        helper.make_node("Mul", ["weights", "column"], ["weighted"]),
    ]
    constants = [helper.make_tensor("last", TensorProto.INT64, [1], [1])]
    graph = helper.make_graph(nodes, "two", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def given(shown: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Images as what the network takes."""
    return {SPEC.input_name: shown}


def images(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 16, 3), dtype=np.uint8)


def refusal(content: bytes, spec: GridSpec = SPEC) -> str:
    """The one line with which a network is refused."""
    with pytest.raises(ModelError) as caught:
        open_session({"float32": content}, spec.model)
    assert "\n" not in str(caught.value)
    return str(caught.value)
