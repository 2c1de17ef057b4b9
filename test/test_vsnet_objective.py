"""VS-Net's loss of a batch: votes that lead to the landmarks, what counts and what does not, and rates of learning."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.training_scenes import SIZE, landmarks, make_frames

from vloc_ros.training.augment import Augmentation
from vloc_ros.training.batches import Batch, BatchSettings, BatchSource
from vloc_ros.training.projection import cell_centers
from vloc_ros.training.vsnet.network import VSNetOutput
from vloc_ros.training.vsnet.objective import VSNetObjective
from vloc_ros.training.vsnet.options import VSNetOptions
from vloc_ros.training.vsnet.resnet import ResNet50

OPTIONS = VSNetOptions(embedding=8)
CELLS = SIZE // OPTIONS.stride


@pytest.fixture(scope="module")
def objective() -> VSNetObjective:
    torch.manual_seed(0)
    return VSNetObjective(OPTIONS, landmarks(), OPTIONS.weights)


@pytest.fixture(scope="module")
def batch() -> Batch:
    return BatchSource(make_frames(6), BatchSettings(OPTIONS.stride, 6, Augmentation(shear_deg=10.0), 0)).batch(0)


def pixels_of_landmarks(batch: Batch, index: int) -> "torch.Tensor":
    """(16, 2), as a camera with `warped_from_camera` for its matrix sees them; all of them are before it."""
    pose, matrix = batch.map_from_camera[index], batch.warped_from_camera[index]
    seen = (torch.from_numpy(landmarks()) - pose[:3, 3]) @ pose[:3, :3] @ matrix.T
    return seen[:, :2] / seen[:, 2:]


def perfect(objective: VSNetObjective, batch: Batch) -> VSNetOutput:
    """The output that says of every cell which landmark it shows, and where that is."""
    labels = batch.cells
    centers = cell_centers(CELLS, CELLS, OPTIONS.stride, labels.device)
    pixels = torch.stack([pixels_of_landmarks(batch, index) for index in range(len(labels))])
    chosen = torch.stack([p[(k - 1).clamp_min(0)] for p, k in zip(pixels, labels, strict=True)])
    embeddings = objective.prototypes.detach()[(labels - 1).clamp_min(0)]
    offsets = (chosen - centers).float()
    return VSNetOutput(embeddings.permute(0, 3, 1, 2), offsets.permute(0, 3, 1, 2), torch.zeros(labels.shape))


def test_the_least_loss_is_that_of_votes_for_where_the_landmarks_are(objective: VSNetObjective, batch: Batch) -> None:
    assert (batch.cells > 0).float().mean() > 0.2
    exact = perfect(objective, batch)
    losses = objective.losses(exact, batch)
    assert float(losses["direction"].detach()) == pytest.approx(0, abs=1e-4)
    assert float(losses["offset"].detach()) == pytest.approx(0, abs=1e-4)
    off = objective.losses(exact._replace(offsets=exact.offsets + 3), batch)
    assert off["offset"] > 0.5
    assert off["direction"] > 0.01
    other = objective.losses(exact._replace(embeddings=exact.embeddings.flip(0)), batch)
    assert losses["segmentation"] < other["segmentation"]
    weighted = sum(
        weight * losses[name]
        for name, weight in {"segmentation": 1, "direction": 1, "offset": 1, "scale": OPTIONS.weights.scale}.items()
    )
    torch.testing.assert_close(losses["total"], weighted)


def test_cells_without_a_landmark_do_not_count(objective: VSNetObjective, batch: Batch) -> None:
    exact = perfect(objective, batch)
    beside = (batch.cells == 0)[:, None]
    assert beside.any()
    spoiled = exact._replace(offsets=torch.where(beside, 1e6, exact.offsets))
    for name in ("direction", "offset", "scale"):
        before, after = (float(objective.losses(output, batch)[name].detach()) for output in (exact, spoiled))
        assert after == pytest.approx(before)


def test_a_batch_without_landmarks_is_survived(objective: VSNetObjective, batch: Batch) -> None:
    losses = objective(replace(batch, cells=torch.zeros_like(batch.cells)))
    losses["total"].backward()
    assert all(value.item() == 0 for value in losses.values())


def test_landmarks_behind_the_camera_are_nowhere_to_point_to(objective: VSNetObjective, batch: Batch) -> None:
    behind = batch.map_from_camera.clone()
    behind[:, 2, 3] = 5.0
    losses = objective(replace(batch, map_from_camera=behind))
    assert losses["offset"].item() == losses["direction"].item() == 0 < losses["segmentation"].item()


def test_prototypes_are_part_of_what_is_learned_and_positions_are_not(objective: VSNetObjective) -> None:
    assert objective.prototypes.shape == (16, 8)
    assert "prototypes" in objective.state_dict()
    assert "positions" not in objective.state_dict()
    (group,) = objective.parameter_groups()
    assert group["lr"] == OPTIONS.learning_rate
    assert {id(p) for p in group["params"]} == {id(p) for p in objective.parameters()}


def test_a_pretrained_backbone_moves_at_a_tenth_of_the_rate(tmp_path: Path) -> None:
    backbone = ResNet50().state_dict()
    torch.save(backbone, tmp_path / "weights.pth")
    options = replace(OPTIONS, preset="resnet50", pretrained=tmp_path / "weights.pth", learning_rate=0.5)
    objective = VSNetObjective(options, landmarks(), options.weights)
    heads, slow = objective.parameter_groups()
    assert (heads["lr"], slow["lr"]) == (0.5, pytest.approx(0.05))
    assert objective.network.backbone is not None
    for name, value in objective.network.backbone.named_parameters():
        assert torch.equal(value, backbone[name])
    assert len(heads["params"]) + len(slow["params"]) == len(list(objective.parameters()))
