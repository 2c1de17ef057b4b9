"""Export: the ONNX file does what the network in torch does, and says what the manifest says."""

import io

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from vloc_ros.core.manifest import NetworkSpec  # noqa: E402
from vloc_ros.inference import open_session  # noqa: E402
from vloc_ros.training.deploy import DeployedVSNet, TorchSession, export_onnx, parity  # noqa: E402
from vloc_ros.training.map_options import LossWeights  # noqa: E402
from vloc_ros.training.objective import VSNetObjective  # noqa: E402

SPEC = NetworkSpec(128, 80, 4)


@pytest.fixture(scope="module")
def objective() -> VSNetObjective:
    """Untrained, but for running statistics that are not the initial ones."""
    torch.manual_seed(0)
    made = VSNetObjective("mobile", torch.randn(40, 16), LossWeights(), stride=4)
    with torch.no_grad():
        for _ in range(5):
            made.network(torch.randn(2, 3, SPEC.height, SPEC.width))
    return made


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (3, 10, 16, 3), dtype=np.uint8)
    return [np.ascontiguousarray(image.repeat(8, axis=0).repeat(8, axis=1)) for image in coarse]


def test_onnx_agrees_with_torch(objective: VSNetObjective, images: list[np.ndarray]) -> None:
    reference, session = TorchSession(objective, SPEC), open_session(export_onnx(objective, SPEC), SPEC)
    for image in images:
        expected, found = reference.run(image), session.run(image)
        agreement, degrees = parity(expected, found)
        assert agreement > 0.995
        assert degrees < 0.1
        for name in SPEC.output_names:
            assert found[name].shape == expected[name].shape == SPEC.output_shape(name)
            assert found[name].dtype == expected[name].dtype
        for name in ("confidences", "distances", "scales"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-3)
    assert objective.training


def test_outputs_mean_what_they_should(objective: VSNetObjective, images: list[np.ndarray]) -> None:
    outputs = TorchSession(objective, SPEC).run(images[0])
    assert outputs["labels"].min() >= 1
    assert outputs["labels"].max() <= 40
    assert len(np.unique(outputs["labels"])) > 1
    assert 0 <= outputs["confidences"].min() <= outputs["confidences"].max() <= 1
    np.testing.assert_allclose(np.linalg.norm(outputs["votes"], axis=-1), 1, atol=1e-4)
    objective.eval()
    with torch.no_grad():
        output = objective.network(objective.normalize(torch.from_numpy(images[0])[None]))
    objective.train()
    offsets = output.offsets[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(outputs["votes"] * outputs["distances"][..., None], offsets, atol=1e-3)


def test_the_file_is_one_self_contained_graph_of_bytes(objective: VSNetObjective) -> None:
    model = onnx.load(io.BytesIO(export_onnx(objective, SPEC)))
    onnx.checker.check_model(model)
    (image,) = model.graph.input
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_value for d in image.type.tensor_type.shape.dim] == [1, SPEC.height, SPEC.width, 3]
    assert tuple(output.name for output in model.graph.output) == SPEC.output_names
    assert not any(node.op_type == "BatchNormalization" for node in model.graph.node)


def test_a_session_keeps_what_was_learned_until_it_is_updated(
    objective: VSNetObjective, images: list[np.ndarray]
) -> None:
    session = TorchSession(objective, SPEC)
    before = session.run(images[0])["labels"]
    kept = objective.prototypes.detach().clone()
    with torch.no_grad():
        objective.prototypes.copy_(kept.flip(0))
    np.testing.assert_array_equal(session.run(images[0])["labels"], before)
    session.update()
    np.testing.assert_array_equal(session.run(images[0])["labels"], 41 - before)
    with torch.no_grad():
        objective.prototypes.copy_(kept)


def test_parity_sees_wrong_labels_and_turned_votes(objective: VSNetObjective, images: list[np.ndarray]) -> None:
    outputs = TorchSession(objective, SPEC).run(images[0])
    assert parity(outputs, outputs) == (1.0, pytest.approx(0, abs=1e-3))
    turned = outputs["votes"] @ np.array([[np.cos(0.1), np.sin(0.1)], [-np.sin(0.1), np.cos(0.1)]])
    labels = outputs["labels"].copy()
    labels[: SPEC.height // SPEC.stride // 2] += 1
    agreement, degrees = parity(outputs, {**outputs, "labels": labels, "votes": turned})
    assert agreement == pytest.approx(0.5, abs=0.01)
    assert degrees == pytest.approx(np.degrees(0.1), abs=0.01)


@pytest.mark.parametrize("count", [1, 5, 32, 40, 100])
def test_the_nearest_prototype_is_that_of_a_plain_arg_max(count: int) -> None:
    torch.manual_seed(count)
    objective = VSNetObjective("mobile", torch.randn(count, 16), LossWeights(), stride=4)
    embeddings = torch.nn.functional.normalize(torch.randn(2, 30, 16), dim=-1)
    similarity, nearest = DeployedVSNet(objective).nearest(embeddings)
    expected, place = (embeddings @ torch.nn.functional.normalize(objective.prototypes, dim=-1).T).max(dim=-1)
    assert (nearest == place).all()
    torch.testing.assert_close(similarity, expected)
