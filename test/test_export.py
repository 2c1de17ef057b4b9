"""Export: the ONNX files do what the network in torch does, and say what the manifest says."""

import io
from collections.abc import Mapping

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from vloc_ros.core.manifest import PRECISIONS, NetworkSpec, Precision  # noqa: E402
from vloc_ros.core.pipeline import Session  # noqa: E402
from vloc_ros.errors import ModelError  # noqa: E402
from vloc_ros.inference import SessionOptions, open_session  # noqa: E402
from vloc_ros.training.deploy import TorchSession  # noqa: E402
from vloc_ros.training.export import export_onnx  # noqa: E402
from vloc_ros.training.objective import VSNetObjective  # noqa: E402
from vloc_ros.training.parity import check_networks, parity  # noqa: E402

from training_scenes import SMALL, coarse_images, settled_objective  # isort: skip  # noqa: E402

DOUBLE = NetworkSpec(2 * SMALL.width, 2 * SMALL.height, 2 * SMALL.stride)
TYPES = {"float32": onnx.TensorProto.FLOAT, "float16": onnx.TensorProto.FLOAT16, "bfloat16": onnx.TensorProto.BFLOAT16}


@pytest.fixture(scope="module")
def objective() -> VSNetObjective:
    return settled_objective("mobile")


@pytest.fixture(scope="module")
def networks(objective: VSNetObjective) -> Mapping[Precision, bytes]:
    return {precision: export_onnx(objective, SMALL, precision) for precision in PRECISIONS}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return coarse_images(3, SMALL.width, SMALL.height)


def opened(network: bytes, spec: NetworkSpec, precision: Precision = "float32") -> Session:
    return open_session({precision: network}, spec, SessionOptions("onnxruntime", precision, max_batch=4))


@pytest.mark.parametrize("spec", [SMALL, DOUBLE], ids=["as it is", "shrinks"])
def test_onnx_agrees_with_torch_alone_and_in_a_batch(objective: VSNetObjective, spec: NetworkSpec) -> None:
    images = coarse_images(3, spec.width, spec.height)
    expected = TorchSession(objective, spec).run(images)
    session = opened(export_onnx(objective, spec), spec)
    assert session.max_batch == 4
    alone = [session.run(images[i : i + 1]) for i in range(3)]
    for found in (session.run(images), {name: np.concatenate([o[name] for o in alone]) for name in expected}):
        agreement, degrees = parity(expected, found, spec)
        assert agreement > 0.995
        assert degrees < 0.1
        for name in spec.output_names:
            assert found[name].shape == expected[name].shape == (3, *spec.output_shape(name))
            assert found[name].dtype == expected[name].dtype
        for name in ("confidences", "distances", "scales"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-3)
    assert objective.training


def test_float16_runs_on_the_cpu_too(
    objective: VSNetObjective, networks: Mapping[Precision, bytes], images: np.ndarray
) -> None:
    found = opened(networks["float16"], SMALL, "float16").run(images)
    agreement, degrees = parity(TorchSession(objective, SMALL).run(images), found, SMALL)
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
    assert tuple(output.name for output in model.graph.output) == SMALL.output_names
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


def test_networks_that_agree_are_let_through_and_others_are_named(
    objective: VSNetObjective, networks: Mapping[Precision, bytes], images: np.ndarray
) -> None:
    inputs = [("first.png", images[0])]
    check_networks({name: networks[name] for name in ("float32", "float16")}, objective, SMALL, inputs)
    other = export_onnx(settled_objective("mobile", seed=1), SMALL)
    with pytest.raises(ModelError, match=r"float32, on first.png: .* % of the labels agree"):
        check_networks({"float32": other}, objective, SMALL, inputs)


def test_a_network_that_says_nothing_is_not_let_through(images: np.ndarray) -> None:
    objective = settled_objective("mobile")
    network = export_onnx(objective, SMALL)
    with torch.no_grad():
        next(objective.network.voting.parameters()).fill_(torch.nan)
    with pytest.raises(ModelError, match="differs"):
        check_networks({"float32": network}, objective, SMALL, [("first.png", images[0])])


def test_parity_sees_wrong_labels_and_turned_votes(objective: VSNetObjective, images: np.ndarray) -> None:
    outputs = TorchSession(objective, SMALL).run(images[:1])
    assert parity(outputs, outputs, SMALL) == (1.0, pytest.approx(0, abs=1e-3))
    outputs = {**outputs, "distances": outputs["distances"] + 10}
    turned = outputs["votes"] @ np.array([[np.cos(0.1), np.sin(0.1)], [-np.sin(0.1), np.cos(0.1)]])
    labels = outputs["labels"].copy()
    labels[:, : SMALL.height // SMALL.stride // 2] += 1
    agreement, degrees = parity(outputs, {**outputs, "labels": labels, "votes": turned}, SMALL)
    assert agreement == pytest.approx(0.5, abs=0.01)
    assert degrees == pytest.approx(np.degrees(0.1), abs=0.01)


def test_parity_is_of_votes_away_from_their_landmark(objective: VSNetObjective, images: np.ndarray) -> None:
    outputs = dict(TorchSession(objective, SMALL).run(images[:1]))
    beside = np.zeros_like(outputs["distances"])
    assert parity({**outputs, "distances": beside}, {**outputs, "votes": -outputs["votes"]}, SMALL) == (1.0, 0.0)
    far = beside + 100
    lost = {**outputs, "votes": np.full_like(outputs["votes"], np.nan)}
    assert np.isnan(parity({**outputs, "distances": far}, lost, SMALL)[1])
