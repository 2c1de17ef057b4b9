"""HSCNet deployed: the ONNX graph does what the network and the hierarchy say, step by step."""

import numpy as np
import onnx
import pytest
import torch
from support.training_scenes import coarse_images, most_likely

from vloc_ros.core.model_spec import GridSpec
from vloc_ros.errors import ConfigError
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.mapping.hierarchy import Hierarchy, build_hierarchy, join_hierarchies
from vloc_ros.methods.hscnet.method import HSCNetMethod
from vloc_ros.training.deploy import TorchSession
from vloc_ros.training.export import export_onnx
from vloc_ros.training.hscnet.deploy import DeployedHSCNet
from vloc_ros.training.hscnet.network import Branch, HSCNet
from vloc_ros.training.hscnet.objective import HSCNetObjective
from vloc_ros.training.hscnet.options import HSCNetOptions, Preset

POINTS = np.random.default_rng(0).uniform((-2, -1, 10), (2, 1, 13), (3000, 3))
SPEC = GridSpec(128, 80, 8, HSCNetMethod.outputs)
DOUBLE = GridSpec(256, 160, 16, HSCNetMethod.outputs)
EVEN = build_hierarchy(POINTS, (5, 30, 4))
# one place of many points, one of so few that its leaves have fewer siblings
RAGGED = join_hierarchies([build_hierarchy(POINTS, (4, 6)), build_hierarchy(POINTS[:9], (3, 6))])
FLAT = build_hierarchy(POINTS, ())


def made(hierarchy: Hierarchy, preset: Preset = "small") -> HSCNetObjective:
    torch.manual_seed(0)
    objective = HSCNetObjective(HSCNetOptions(preset), hierarchy)
    with torch.no_grad():
        for branch in objective.network.classifiers:
            assert isinstance(branch, Branch)
            branch.output.weight.mul_(5)  # untrained networks are sure of nothing
    return objective


def deployed(objective: HSCNetObjective, spec: GridSpec) -> DeployedHSCNet:
    return DeployedHSCNet(objective.network, objective.hierarchy, spec)


def slow(network: HSCNet, hierarchy: Hierarchy, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates, confidences and regions cell by cell, of a hierarchy whose nodes have all their children."""
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    with torch.no_grad():
        inputs = torch.from_numpy(((images - mean) / std).transpose(0, 3, 1, 2).astype(np.float32))
        output = network.eval()(inputs, most_likely)
    shape = (len(images), *output.residuals.shape[-2:])
    coordinates, confidences, regions = np.empty((*shape, 3)), np.ones(shape), np.empty(shape, dtype=np.int32)
    for cell in np.ndindex(shape):
        at = (cell[0], slice(None), cell[1], cell[2])
        node = 0
        for level, logits in enumerate(output.logits):
            probabilities = logits[at].softmax(0).numpy()
            node = int(hierarchy.first[level][node]) + int(probabilities.argmax())
            confidences[cell] *= probabilities.max()
        regions[cell] = node + 1
        coordinates[cell] = hierarchy.leaf_centers[node] + output.residuals[at].numpy()
    return coordinates, confidences, regions


@pytest.mark.parametrize("preset", ["small", "small++"])
@pytest.mark.parametrize("hierarchy", [EVEN, FLAT], ids=["three levels", "regression only"])
def test_onnx_does_what_the_network_and_the_hierarchy_say(hierarchy: Hierarchy, preset: Preset) -> None:
    objective, images = made(hierarchy, preset), coarse_images(3, SPEC.width, SPEC.height)
    expected = dict(zip(HSCNetMethod.outputs, slow(objective.network, hierarchy, images), strict=True))
    in_torch = TorchSession(objective, SPEC).run({"image": images})
    network = export_onnx(objective, SPEC)
    session = open_session({"float32": network}, SPEC.model, SessionOptions("onnxruntime", max_batch=3))
    alone = [session.run({"image": images[i : i + 1]}) for i in range(3)]
    joined = {name: np.concatenate([outputs[name] for outputs in alone]) for name in HSCNetMethod.outputs}
    # weights are rounded to 16 bits in the file, and untrained residuals are metres
    for found, tolerance in ((in_torch, 1e-4), (session.run({"image": images}), 0.03), (joined, 0.03)):
        same = found["regions"] == expected["regions"]
        assert same.mean() > 0.98
        for name in ("coordinates", "confidences"):
            np.testing.assert_allclose(found[name][same], expected[name][same], atol=tolerance)
    assert hierarchy.branching == () or len(np.unique(expected["regions"])) > 5


@pytest.mark.parametrize("preset", ["small", "small++"])
@pytest.mark.parametrize("hierarchy", [EVEN, RAGGED, FLAT], ids=["even", "ragged", "flat"])
def test_the_file_is_one_graph_that_tensorrt_can_take(hierarchy: Hierarchy, preset: Preset) -> None:
    model = onnx.load_from_string(export_onnx(made(hierarchy, preset), DOUBLE))
    onnx.checker.check_model(model, full_check=True)
    nodes = model.graph.node
    (first,) = [node for node in nodes if "image" in node.input]
    assert first.op_type == "Cast"
    assert not {"If", "Loop", "NonZero", "Shape", "Range"} & {node.op_type for node in nodes}
    assert not any(tensor.data_type == onnx.TensorProto.INT64 for tensor in model.graph.initializer)
    types = onnx.shape_inference.infer_shapes(model).graph.value_info
    assert all(value.type.tensor_type.elem_type != onnx.TensorProto.DOUBLE for value in types)
    assert tuple(output.name for output in model.graph.output) == tuple(HSCNetMethod.outputs)
    kinds = [output.type.tensor_type.elem_type for output in model.graph.output]
    assert kinds == [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT, onnx.TensorProto.INT32]
    assert {output.type.tensor_type.shape.dim[0].dim_param for output in model.graph.output} == {"batch"}


def test_metres_are_not_rounded() -> None:
    """The table that the leaves' centres are looked up in, the last of all tables, has all its digits."""
    graph = onnx.load_from_string(export_onnx(made(EVEN), SPEC)).graph
    tables = {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant"}
    tables |= {tensor.name: tensor for tensor in graph.initializer}
    last = [node for node in graph.node if node.op_type == "Gather"][-1]
    kept = onnx.numpy_helper.to_array(tables[last.input[0]])
    np.testing.assert_array_equal(kept, EVEN.leaf_centers.astype(np.float32))


def test_a_cell_is_never_sent_to_a_child_that_its_node_has_not() -> None:
    images = coarse_images(3, SPEC.width, SPEC.height)
    objective = made(RAGGED)
    coarse, fine = objective.network.classifiers
    assert isinstance(coarse, Branch)
    assert isinstance(fine, Branch)
    assert coarse.output.bias is not None
    assert fine.output.bias is not None
    with torch.no_grad():
        coarse.output.bias[4:] += 100  # all go to the place of few points
        fine.output.bias[-1] += 3  # and would like to go on to the last of six children
        coordinates, confidences, regions = deployed(objective, SPEC)(torch.from_numpy(images))
    leaves = regions.numpy() - 1
    assert (RAGGED.places(leaves) == 1).all()
    assert leaves.max() < len(RAGGED.leaf_centers)
    assert (confidences > 0).all()
    assert (confidences <= 1).all()
    assert coordinates.isfinite().all()


def test_a_larger_input_is_shrunk() -> None:
    objective, images = made(EVEN), coarse_images(2, SPEC.width, SPEC.height)
    with torch.no_grad():
        expected = deployed(objective, SPEC)(torch.from_numpy(images))
        doubled = torch.from_numpy(images.repeat(2, axis=1).repeat(2, axis=2))
        found = deployed(objective, DOUBLE)(doubled)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_another_hierarchy_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"made for the branching \(5, 30, 4\), the hierarchy has \(7, 6\)"):
        DeployedHSCNet(made(EVEN).network, RAGGED, SPEC)
    with pytest.raises(ConfigError, match="2 leaves"):
        DeployedHSCNet(made(FLAT).network, join_hierarchies([FLAT, FLAT]), SPEC)
