"""The training loop as on a GPU, which nobody waits for: late losses, interruptions; compiled networks, bfloat16."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.trainers import (
    EXACT,
    ITERATIONS,
    OPTIONS,
    SOFTMAX,
    RecordingSource,
    at_iteration,
    interrupt,
    make_trainer,
    no_report,
    no_validation,
    weights_of,
)
from support.training_scenes import landmarks, make_frames

from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.training import trainer as trainer_module
from vloc_ros.training.augment import Augmentation
from vloc_ros.training.batches import Batch, BatchSettings, BatchSource, Prepared
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.trainer import Trainer
from vloc_ros.training.vsnet.objective import VSNetObjective
from vloc_ros.training.workers import Workers

pytestmark = pytest.mark.usefixtures("report_every_iteration")


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are looked at every fourth step only."""
    monkeypatch.setitem(trainer_module.CHECK_EVERY, "cpu", 4)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_steps_that_nobody_waits_for_learn_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    late, _ = make_trainer(tmp_path / "late")
    late.train(lambda t, _: seen.append(t.progress.iteration), no_validation, 0)
    assert seen == [4, ITERATIONS]
    monkeypatch.setitem(trainer_module.CHECK_EVERY, "cpu", 1)
    whole, _ = make_trainer(tmp_path / "whole")
    whole.train(no_report, no_validation, 0)
    for name, value in weights_of(whole).items():
        torch.testing.assert_close(late.objective.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def poisoning(source: RecordingSource, number: int, then: Callable[[], None] = lambda: None) -> None:
    """From its batch `number` on, where every landmark lies is beyond all numbers, so that the loss is not finite."""
    prepare = source.prepare
    far_off = torch.tensor([[0, 0, 3e38], [0, 0, 3e38], [0, 0, 1]], dtype=torch.float64)

    def poisoned(n: int) -> Prepared:
        batch = prepare(n)()
        if n < number:
            return lambda: batch

        def finish() -> Batch:
            if n > number:
                then()
            return replace(batch, warped_from_camera=far_off.expand_as(batch.warped_from_camera))

        return finish

    source.prepare = poisoned  # type: ignore[method-assign, assignment]


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("interrupted", [False, True])
def test_a_loss_that_is_not_finite_is_found_late_and_never_saved(tmp_path: Path, interrupted: bool) -> None:
    """Also if somebody presses Ctrl-C before it is found."""

    def press() -> None:
        if interrupted:
            raise KeyboardInterrupt

    trainer, source = make_trainer(tmp_path)
    trainer.save()
    poisoning(source, 5, press)
    with pytest.raises(KeyboardInterrupt if interrupted else ModelError) as error:
        trainer.train(no_report, no_validation, 0)
    assert interrupted or "at iteration 5" in str(error.value)
    resumed, _ = make_trainer(tmp_path)
    assert resumed.resume()
    assert resumed.progress.iteration == 0
    assert all(value.isfinite().all() for value in weights_of(resumed).values())


def test_a_second_ctrl_c_does_not_spoil_the_checkpoint_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchrun passes on what its processes have had from the terminal already."""
    trainer, _ = make_trainer(tmp_path)
    save = Trainer.save

    def pressed_again(trainer: Trainer) -> None:
        signal.raise_signal(signal.SIGINT)
        save(trainer)

    monkeypatch.setattr(Trainer, "save", pressed_again)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background do without
    try:
        with pytest.raises(KeyboardInterrupt):
            trainer.train(at_iteration(2, interrupt), no_validation, 0)
        with pytest.raises(KeyboardInterrupt):  # afterwards it works again
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert trainer.checkpoint_path.exists()


@pytest.mark.usefixtures("as_on_a_gpu")
def test_ctrl_c_between_two_looks_keeps_every_step(tmp_path: Path) -> None:
    trainer, source = make_trainer(tmp_path)
    prepare = source.prepare

    def interrupting(number: int) -> Prepared:
        return (lambda: interrupt(trainer)) if number == 6 else prepare(number)  # type: ignore[return-value]

    source.prepare = interrupting  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.train(no_report, no_validation, 0)
    resumed, _ = make_trainer(tmp_path)
    assert resumed.resume()
    assert resumed.progress.iteration == 6


def test_a_compiled_network_learns_the_same(tmp_path: Path) -> None:
    options = replace(OPTIONS, accumulate=2)
    compiled, _ = make_trainer(tmp_path / "compiled", options)
    before = weights_of(compiled)
    graphs = []

    def backend(graph: "torch.fx.GraphModule", inputs: object) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    assert compiled.compile(backend) is None
    compilations = len(graphs)
    assert compilations > 0
    for name, value in weights_of(compiled).items():  # trying it left no trace
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    compiled.train(no_report, no_validation, 0)
    assert len(graphs) == compilations  # trying it was all the waiting
    plain, _ = make_trainer(tmp_path / "plain", options)
    plain.train(no_report, no_validation, 0)
    for name, value in weights_of(plain).items():
        torch.testing.assert_close(compiled.objective.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_a_compiler_that_fails_is_done_without(tmp_path: Path) -> None:
    def backend(graph: object, inputs: object) -> Callable[..., object]:
        raise RuntimeError("no such card\nand much more")

    trainer, _ = make_trainer(tmp_path)
    reason = trainer.compile(backend)
    assert reason is not None
    assert "\n" not in reason
    assert "no such card" in reason
    trainer.train(no_report, no_validation, 0)
    assert trainer.progress.iteration == ITERATIONS


def test_a_checkpoint_of_a_gpu_resumes_on_a_cpu(tmp_path: Path) -> None:
    """A GPU's optimizer is fused; that is no property of what was learned."""
    trainer, _ = make_trainer(tmp_path)
    trainer.train(at_iteration(2, lambda t: t.save()), no_validation, 0)
    state = torch.load(trainer.checkpoint_path, weights_only=True)
    for group in state["optimizer"]["param_groups"]:
        group["fused"] = True
    torch.save({**state, "progress": {"iteration": 2, "seconds": 1.0}}, trainer.checkpoint_path)
    resumed, _ = make_trainer(tmp_path)
    assert resumed.resume()
    assert not resumed._optimizer.param_groups[0]["fused"]
    resumed.train(no_report, no_validation, 0)


def test_batches_that_cannot_be_shared_evenly(tmp_path: Path) -> None:
    source = BatchSource(make_frames(12), BatchSettings(4, 3, Augmentation(), 0))
    objective = VSNetObjective(EXACT, landmarks(), EXACT.weights)
    with pytest.raises(ConfigError, match="3 batches a step cannot be shared evenly by 2 processes"):
        Trainer(objective, source, replace(OPTIONS, accumulate=3), tmp_path, Workers(0, 2))


def test_bfloat16_learns_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What GPUs and some CPUs do by default: the network in bfloat16, the loss and the weights in float32."""
    monkeypatch.setattr(trainer_module, "precision", lambda device: torch.autocast(device.type, torch.bfloat16))
    trainer, _ = make_trainer(tmp_path, TrainingOptions(epochs=10, batch_size=3, accumulate=1), SOFTMAX)
    totals: list[float] = []
    trainer.train(lambda _, losses: totals.append(losses["segmentation"]), no_validation, 0)
    assert sum(totals[-5:]) < 0.7 * sum(totals[:5])
    assert {value.dtype for value in trainer.objective.parameters()} == {torch.float32}
