"""VS-Net as the robot runs it: what its outputs mean, whatever the size of its input."""

import numpy as np
import pytest
import torch
from support.training_scenes import SMALL

from vloc_ros.core.model_spec import GridSpec
from vloc_ros.methods.vsnet.method import VSNetMethod
from vloc_ros.training.deploy import TorchSession
from vloc_ros.training.vsnet.deploy import DeployedVSNet
from vloc_ros.training.vsnet.objective import VSNetObjective
from vloc_ros.training.vsnet.options import VSNetOptions


def test_outputs_mean_what_they_should(objective: VSNetObjective, images: np.ndarray) -> None:
    outputs = TorchSession(objective, SMALL).run({"image": images})
    assert outputs["labels"].min() >= 1
    assert outputs["labels"].max() <= 40
    assert len(np.unique(outputs["labels"])) > 1
    assert 0 <= outputs["confidences"].min() <= outputs["confidences"].max() <= 1
    np.testing.assert_allclose(np.linalg.norm(outputs["votes"], axis=-1), 1, atol=1e-4)
    objective.eval()
    with torch.no_grad():
        output = objective.network(objective.normalize(torch.from_numpy(images)))
    objective.train()
    offsets = output.offsets.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(outputs["votes"] * outputs["distances"][..., None], offsets, atol=1e-3)
    np.testing.assert_allclose(outputs["scales"], output.log_scales.exp().numpy(), rtol=1e-3)


def test_a_session_keeps_what_was_learned_until_it_is_updated(objective: VSNetObjective, images: np.ndarray) -> None:
    session = TorchSession(objective, SMALL)
    before = session.run({"image": images})["labels"]
    kept = objective.prototypes.detach().clone()
    with torch.no_grad():
        objective.prototypes.copy_(kept.flip(0))
    np.testing.assert_array_equal(session.run({"image": images})["labels"], before)
    session.update()
    np.testing.assert_array_equal(session.run({"image": images})["labels"], 41 - before)
    with torch.no_grad():
        objective.prototypes.copy_(kept)


@pytest.mark.parametrize("count", [1, 5, 32, 40, 100])
def test_the_nearest_prototype_is_that_of_a_plain_arg_max(count: int) -> None:
    torch.manual_seed(count)
    options = VSNetOptions(embedding=16)
    objective = VSNetObjective(options, np.zeros((count, 3)), options.weights)
    embeddings = torch.nn.functional.normalize(torch.randn(60, 16), dim=-1)
    similarity, nearest = DeployedVSNet(objective.network, objective.prototypes, SMALL).nearest(embeddings)
    expected, place = (embeddings @ torch.nn.functional.normalize(objective.prototypes, dim=-1).T).max(dim=-1)
    assert (nearest == place).all()
    torch.testing.assert_close(similarity, expected)


def test_an_input_of_twice_the_size_says_the_same_in_its_own_pixels(
    objective: VSNetObjective, images: np.ndarray
) -> None:
    double = GridSpec(2 * SMALL.width, 2 * SMALL.height, 2 * SMALL.stride, VSNetMethod.outputs)
    expected = TorchSession(objective, SMALL).run({"image": images})
    found = TorchSession(objective, double).run({"image": images.repeat(2, axis=1).repeat(2, axis=2)})
    assert (found["labels"] == expected["labels"]).mean() > 0.999
    for name, factor in {"confidences": 1, "votes": 1, "distances": 2, "scales": 2}.items():
        np.testing.assert_allclose(found[name], factor * expected[name], rtol=1e-3, atol=1e-3)
