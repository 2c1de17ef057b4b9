"""The training loop: budgets, checkpoints, resuming, and what stops it."""

import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.trainers import (
    EXACT,
    ITERATIONS,
    OPTIONS,
    SOFTMAX,
    at_iteration,
    interrupt,
    make_trainer,
    no_report,
    no_validation,
    weights_of,
)

from vloc_ros.errors import ModelError
from vloc_ros.training import trainer as trainer_module
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.trainer import Trainer
from vloc_ros.training.vsnet.objective import VSNetObjective
from vloc_ros.training.vsnet.options import LossWeights, SegmentationLoss
from vloc_ros.training.vsnet.resnet import ResNet50

pytestmark = pytest.mark.usefixtures("report_every_iteration")


def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, _ = make_trainer(tmp_path / "whole")
    assert not whole.resume()
    whole.train(no_report, no_validation, 0)

    first, _ = make_trainer(tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        first.train(at_iteration(3, interrupt), no_validation, 0)
    second, source = make_trainer(tmp_path / "parts")
    assert second.resume()
    assert second.progress.iteration == 3
    assert second.progress.seconds == pytest.approx(first.progress.seconds)
    second.train(no_report, no_validation, 0)
    assert min(source.asked) == 3
    assert second.progress.iteration == whole.progress.iteration == ITERATIONS
    for name, value in weights_of(whole).items():
        torch.testing.assert_close(second.objective.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_a_killed_run_resumes_from_its_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on the disk in the middle of a run is what a kill leaves, a half-written checkpoint included."""
    monkeypatch.setattr(trainer_module, "CHECKPOINT_SECONDS", 0.0)
    killed = tmp_path / "killed"
    running, _ = make_trainer(tmp_path / "running")

    def copy(_: Trainer) -> None:
        shutil.copytree(tmp_path / "running", killed)

    running.train(at_iteration(5, copy), no_validation, 0)
    (killed / "checkpoint.partial").write_bytes(b"half")
    resumed, _ = make_trainer(killed)
    assert resumed.resume()
    assert resumed.progress.iteration == 4
    resumed.train(no_report, no_validation, 0)
    assert resumed.progress.iteration == ITERATIONS


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    done, _ = make_trainer(tmp_path)
    done.train(no_report, no_validation, 0)
    again, _ = make_trainer(tmp_path)
    assert again.resume()
    before = weights_of(again)
    again.train(at_iteration(ITERATIONS + 1, interrupt), no_validation, 0)
    assert again.fraction == 1
    assert all(torch.equal(value, before[name]) for name, value in weights_of(again).items())


@pytest.mark.parametrize("fault", ["truncated", "garbage", "foreign", "other network", "other progress"])
def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path: Path, fault: str) -> None:
    trainer, _ = make_trainer(tmp_path)
    trainer.save()
    content = trainer.checkpoint_path.read_bytes()
    if fault == "truncated":
        trainer.checkpoint_path.write_bytes(content[: len(content) // 2])
    elif fault == "garbage":
        trainer.checkpoint_path.write_bytes(b"not a checkpoint")
    elif fault == "foreign":
        torch.save({"weights": torch.zeros(3)}, trainer.checkpoint_path)
    elif fault == "other progress":
        state = torch.load(trainer.checkpoint_path, weights_only=True)
        torch.save({**state, "progress": {"steps": 3}}, trainer.checkpoint_path)
    method = replace(EXACT, embedding=16) if fault == "other network" else EXACT
    with pytest.raises(ModelError) as error:
        make_trainer(tmp_path, method=method)[0].resume()
    assert str(trainer.checkpoint_path) in str(error.value)
    assert "--fresh" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_budget_of_minutes_ends_by_the_clock_and_measuring_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of which each look takes a tenth of a second, and each measurement an hour."""
    options = TrainingOptions(minutes=1.5 / 60, batch_size=2, accumulate=1)
    trainer, _ = make_trainer(tmp_path, options)
    measured = []
    now_s = 0.0

    def look() -> float:
        nonlocal now_s
        now_s += 0.1
        return now_s

    def validate(_: Trainer) -> Mapping[str, float]:
        nonlocal now_s
        now_s += 3600
        measured.append(trainer.fraction)
        return {"recall": 0.5}

    monkeypatch.setattr(trainer_module, "time", SimpleNamespace(monotonic=look))
    trainer.train(no_report, validate, 3)
    assert trainer.progress.iteration >= 5
    assert 1.5 <= trainer.progress.seconds < 2.0
    assert len(measured) == 2  # at a third and at two thirds
    assert all(0.33 < fraction < 1 for fraction in measured)
    assert list((tmp_path / "tensorboard").iterdir())


def test_epochs_end_exactly_and_are_measured_at_even_marks(tmp_path: Path) -> None:
    trainer, source = make_trainer(tmp_path)
    iterations, measured = [], []

    def validate(_: Trainer) -> Mapping[str, float]:
        measured.append(trainer.progress.iteration)
        return {}

    trainer.train(lambda t, _: iterations.append(t.progress.iteration), validate, 4)
    assert iterations == list(range(1, ITERATIONS + 1))
    assert measured == [2, 4, 6]
    assert set(range(ITERATIONS)) <= source.asked


def test_training_learns(tmp_path: Path) -> None:
    trainer, _ = make_trainer(tmp_path, TrainingOptions(epochs=10, batch_size=3, accumulate=1), SOFTMAX)
    totals: list[float] = []
    trainer.train(lambda _, losses: totals.append(losses["segmentation"]), no_validation, 0)
    assert sum(totals[-5:]) < 0.7 * sum(totals[:5])


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint_before(tmp_path: Path) -> None:
    def poison(trainer: Trainer) -> None:
        trainer.save()
        with torch.no_grad():
            assert isinstance(trainer.objective, VSNetObjective)
            trainer.objective.prototypes.fill_(torch.nan)

    trainer, _ = make_trainer(tmp_path)
    with pytest.raises(ModelError, match="loss is nan at iteration 4") as error:
        trainer.train(at_iteration(4, poison), no_validation, 0)
    assert "\n" not in str(error.value)
    resumed, _ = make_trainer(tmp_path)
    assert resumed.resume()
    assert resumed.progress.iteration == 4
    assert all(value.isfinite().all() for value in weights_of(resumed).values())


def test_rate_warms_up_and_falls(tmp_path: Path) -> None:
    trainer, _ = make_trainer(tmp_path)
    rates, base = [], EXACT.learning_rate * OPTIONS.rate_scale
    trainer.train(lambda t, _: rates.append(t._optimizer.param_groups[0]["lr"] / base), no_validation, 0)
    expected = [min(1, (i + 1) / 5) * (1 - i / ITERATIONS) ** 0.9 for i in range(ITERATIONS)]
    assert rates == pytest.approx(expected)


def test_a_pretrained_backbone_learns_at_a_tenth_of_the_rate(tmp_path: Path) -> None:
    torch.save(ResNet50().state_dict(), tmp_path / "weights.pth")
    method = replace(EXACT, preset="resnet50", pretrained=tmp_path / "weights.pth")
    trainer, _ = make_trainer(tmp_path, method=method)
    heads, backbone = trainer._optimizer.param_groups
    assert backbone["lr"] == pytest.approx(heads["lr"] / 10)
    assert isinstance(trainer.objective, VSNetObjective)
    encoder = trainer.objective.network.backbone
    assert encoder is not None
    assert {id(p) for p in backbone["params"]} == {id(p) for p in encoder.parameters()}
    assert len(heads["params"]) + len(backbone["params"]) == len(list(trainer.objective.parameters()))


def test_batches_of_a_step_count_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient of a step is the mean of its batches' gradients, and the running statistics move to their mean."""
    options = replace(OPTIONS, accumulate=3)
    trainer, source = make_trainer(tmp_path, options)
    trainer.objective.train()
    norm = next(m for m in trainer.objective.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert norm.running_mean is not None
    before = norm.running_mean.clone()
    separate, means = [], []
    for place in range(3):
        alone, _ = make_trainer(tmp_path, OPTIONS)
        alone.objective.train()
        losses = alone.objective(source.batch(place))
        losses["total"].backward()
        separate.append([p.grad for p in alone.objective.parameters()])
        moved = next(m for m in alone.objective.modules() if isinstance(m, torch.nn.BatchNorm2d)).running_mean
        assert moved is not None
        means.append(before + (moved - before) / 0.1)
    batches = [source.batch(place) for place in range(3)]
    monkeypatch.setattr(trainer._optimizer, "step", lambda: None)
    monkeypatch.setattr(trainer_module, "MAX_GRADIENT", float("inf"))
    monkeypatch.setattr(trainer_module, "precision", lambda device: nullcontext())  # of what is compared
    trainer.step(trainer.objective, iter(batches))
    for parameter, gradients in zip(trainer.objective.parameters(), zip(*separate, strict=True), strict=True):
        torch.testing.assert_close(parameter.grad, torch.stack(gradients).mean(dim=0), rtol=1e-4, atol=1e-5)
    expected = before + 0.1 * (torch.stack(means).mean(dim=0) - before)
    torch.testing.assert_close(norm.running_mean, expected, rtol=1e-4, atol=1e-6)


def test_what_is_drawn_in_the_loss_depends_on_the_batch_alone(tmp_path: Path) -> None:
    """So a run with losses that draw ends as if it had not been interrupted, too."""
    weights = LossWeights(segmentation=SegmentationLoss(random_prototypes=2, neighbours=1, pixels=64))
    whole, _ = make_trainer(tmp_path / "whole", weights=weights)
    whole.train(no_report, no_validation, 0)
    first, _ = make_trainer(tmp_path / "parts", weights=weights)
    with pytest.raises(KeyboardInterrupt):
        first.train(at_iteration(3, interrupt), no_validation, 0)
    torch.manual_seed(123)
    second, _ = make_trainer(tmp_path / "parts", weights=weights)
    second.resume()
    second.train(no_report, no_validation, 0)
    for name, value in weights_of(whole).items():
        torch.testing.assert_close(second.objective.state_dict()[name], value, rtol=1e-3, atol=1e-4)
