"""The deployed network as one self-contained ONNX file, in any precision."""

import io
import math
import warnings

import numpy as np
import onnx
import torch
from onnx import version_converter
from torch import Tensor, nn

from vloc_ros.core.model_spec import GridSpec, ModelSpec, Precision
from vloc_ros.training.objective import Objective

OPSET = 17
BFLOAT16_OPSET = 22  # the first whose convolutions know bfloat16
BATCH_AXIS = "batch"
MIN_HALVED = 1024  # smaller constants are biases and the like, whose rounding would save nothing


def export_onnx(objective: Objective, spec: GridSpec, precision: Precision = "float32") -> bytes:
    """One self-contained ONNX file for any number of images at once, weights kept in 16 bits in every precision."""
    # Where the network is: float16 on a CPU is slow, and what is exported is the same.
    image = torch.zeros(1, spec.height, spec.width, 3, dtype=torch.uint8, device=objective.device)
    return export_network(objective.deployed(spec, precision), (image,), spec.model, precision)


def export_network(
    network: nn.Module, example: tuple[Tensor, ...], spec: ModelSpec, precision: Precision = "float32"
) -> bytes:
    """The same of any network, whose inputs are such as `example`. `precision`: the one that it computes in."""
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # sizes are meant to become constants
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.filterwarnings(
            "ignore", category=UserWarning, module=r"torch\.onnx"
        )  # such as on statistics of an image
        torch.onnx.export(
            network.eval(),
            example,
            buffer,  # type: ignore[arg-type]  # without dynamo it may be a buffer
            input_names=list(spec.inputs),
            output_names=list(spec.outputs),
            dynamic_axes={name: {0: BATCH_AXIS} for name in (*spec.inputs, *spec.outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    if precision == "bfloat16":
        model = version_converter.convert_version(model, BFLOAT16_OPSET)
    if precision == "float32":
        halve_weights(model.graph)
    declare_shapes(model.graph, spec)
    return bytes(model.SerializeToString())


def declare_shapes(graph: onnx.GraphProto, spec: ModelSpec) -> None:
    """Say of the outputs what `spec` says: torch does not know how many the best ones are that are picked."""
    for output in graph.output:
        sizes = output.type.tensor_type.shape.dim[1:]
        for axis, size in zip(sizes, spec.outputs[output.name].shape, strict=True):
            axis.dim_value = size


def halve_weights(graph: onnx.GraphProto) -> None:
    """Store large float32 constants as float16, cast back when the file is loaded.

    Arithmetic stays in float32; what is lost is the rounding of the weights, which the parity check includes. Tables
    that values are looked up in are no weights: metres are not rounded.
    """
    tables = {node.input[0] for node in graph.node if node.op_type == "Gather"}
    for tensor in list(graph.initializer):
        if tensor.data_type != onnx.TensorProto.FLOAT or math.prod(tensor.dims) < MIN_HALVED or tensor.name in tables:
            continue
        values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        half = onnx.numpy_helper.from_array(values, f"{tensor.name}_float16")
        cast = onnx.helper.make_node("Cast", [half.name], [tensor.name], to=onnx.TensorProto.FLOAT)
        graph.initializer.remove(tensor)
        graph.initializer.append(half)
        graph.node.insert(0, cast)
