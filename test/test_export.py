"""Export: the ONNX files do what the network in torch does, and say what the manifest says."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from support.training_scenes import SMALL, coarse_images, objective_with_statistics

from vloc_ros.core.model_spec import PRECISIONS, GridSpec, Precision
from vloc_ros.core.session import Session
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.methods.vsnet.method import VSNetMethod
from vloc_ros.training.deploy import TorchSession
from vloc_ros.training.export import export_onnx, halve_weights
from vloc_ros.training.vsnet.objective import VSNetObjective
from vloc_ros.training.vsnet.recipe import parity

DOUBLE = GridSpec(2 * SMALL.width, 2 * SMALL.height, 2 * SMALL.stride, VSNetMethod.outputs)
TYPES = {"float32": onnx.TensorProto.FLOAT, "float16": onnx.TensorProto.FLOAT16, "bfloat16": onnx.TensorProto.BFLOAT16}


@pytest.fixture(scope="module")
def objective() -> VSNetObjective:
    return objective_with_statistics("mobile")


@pytest.fixture(scope="module")
def networks(objective: VSNetObjective) -> Mapping[Precision, bytes]:
    return {precision: export_onnx(objective, SMALL, precision) for precision in PRECISIONS}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return coarse_images(3, SMALL.width, SMALL.height)


def opened(network: bytes, spec: GridSpec, precision: Precision = "float32") -> Session:
    return open_session({precision: network}, spec.model, SessionOptions("onnxruntime", precision, max_batch=4))


@pytest.mark.parametrize("spec", [SMALL, DOUBLE], ids=["as it is", "shrinks"])
def test_onnx_agrees_with_torch_alone_and_in_a_batch(objective: VSNetObjective, spec: GridSpec) -> None:
    images = coarse_images(3, spec.width, spec.height)
    expected = TorchSession(objective, spec).run({"image": images})
    session = opened(export_onnx(objective, spec), spec)
    assert session.max_batch == 4
    alone = [session.run({"image": images[i : i + 1]}) for i in range(3)]
    for found in (
        session.run({"image": images}),
        {name: np.concatenate([o[name] for o in alone]) for name in expected},
    ):
        agreement, degrees = parity(expected, found, spec)
        assert agreement > 0.995
        assert degrees < 0.1
        for name in spec.outputs:
            assert found[name].shape == expected[name].shape == (3, *spec.model.outputs[name].shape)
            assert found[name].dtype == expected[name].dtype
        for name in ("confidences", "distances", "scales"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-3)
    assert objective.training


def test_float16_runs_on_the_cpu_too(
    objective: VSNetObjective, networks: Mapping[Precision, bytes], images: np.ndarray
) -> None:
    found = opened(networks["float16"], SMALL, "float16").run({"image": images})
    agreement, degrees = parity(TorchSession(objective, SMALL).run({"image": images}), found, SMALL)
    assert agreement > 0.99
    assert degrees < 1


@pytest.mark.parametrize("precision", PRECISIONS)
def test_each_file_is_one_self_contained_graph_from_bytes_to_floats(
    networks: Mapping[Precision, bytes], precision: Precision
) -> None:
    model = onnx.load(io.BytesIO(networks[precision]))
    onnx.checker.check_model(model, full_check=True)
    (image,) = model.graph.input
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    batch, *size = image.type.tensor_type.shape.dim
    assert batch.dim_param == "batch"
    assert [d.dim_value for d in size] == [SMALL.height, SMALL.width, 3]
    assert tuple(output.name for output in model.graph.output) == tuple(SMALL.outputs)
    kinds = [output.type.tensor_type.elem_type for output in model.graph.output]
    assert kinds == [onnx.TensorProto.INT32, *[onnx.TensorProto.FLOAT] * 4]
    assert len(networks[precision]) < 4e6  # 1.3 million weights of 16 bits


@pytest.mark.parametrize("precision", PRECISIONS)
def test_convolutions_are_in_the_precision_and_tensorrt_can_take_the_rest(
    networks: Mapping[Precision, bytes], precision: Precision
) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(networks[precision]))
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    nodes = model.graph.node
    assert {types[node.output[0]] for node in nodes if node.op_type == "Conv"} == {TYPES[precision]}
    assert not {"BatchNormalization", "If", "Loop", "NonZero"} & {node.op_type for node in nodes}
    assert onnx.TensorProto.DOUBLE not in types.values()
    (first,) = [node for node in nodes if "image" in node.input and node.op_type != "Shape"]
    assert first.op_type == "Cast"  # all that TensorRT does with bytes
    assert not any(tensor.data_type == onnx.TensorProto.INT64 for tensor in model.graph.initializer)


def test_large_weights_are_halved_and_tables_are_not() -> None:
    """Of a graph that multiplies rows of a table with a weight and adds a bias."""
    rng = np.random.default_rng(0)
    values = {
        "table": rng.uniform(0, 100, (64, 32)).astype(np.float32),
        "weight": rng.normal(size=(32, 64)).astype(np.float32),
        "bias": rng.normal(size=64).astype(np.float32),
    }
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Gather", ["table", "rows"], ["found"]),
            onnx.helper.make_node("MatMul", ["found", "weight"], ["product"]),
            onnx.helper.make_node("Add", ["product", "bias"], ["sum"]),
        ],
        "lookup",
        [onnx.helper.make_tensor_value_info("rows", onnx.TensorProto.INT32, [3])],
        [onnx.helper.make_tensor_value_info("sum", onnx.TensorProto.FLOAT, [3, 64])],
        [onnx.numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    halve_weights(graph)
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    assert kinds == {"table": TYPES["float32"], "bias": TYPES["float32"], "weight_float16": TYPES["float16"]}
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    found: Any
    (found,) = ReferenceEvaluator(model).run(None, {"rows": np.array([1, 5, 9], np.int32)})
    rounded = values["table"][[1, 5, 9]] @ values["weight"].astype(np.float16).astype(np.float32) + values["bias"]
    np.testing.assert_allclose(found, rounded, rtol=1e-4, atol=1e-3)
