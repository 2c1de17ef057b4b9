"""The training loop: budgets, checkpoints, resuming, and what stops it."""

import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.training_scenes import landmarks, make_frames

from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.training import trainer as trainer_module
from vloc_ros.training.augment import Augmentation
from vloc_ros.training.batches import Batch, BatchSettings, BatchSource, Prepared
from vloc_ros.training.device import Workers
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.trainer import Trainer
from vloc_ros.training.vsnet.objective import VSNetObjective
from vloc_ros.training.vsnet.options import LossWeights, SegmentationLoss, VSNetOptions
from vloc_ros.training.vsnet.resnet import ResNet50

OPTIONS = TrainingOptions(epochs=2, batch_size=3, accumulate=1, warmup_iterations=5)
SOFTMAX = VSNetOptions(embedding=8)
# Nothing in this loss is drawn by chance, so that runs can be compared.
EXACT = replace(SOFTMAX, loss="cross_entropy")
ITERATIONS = 8  # of two epochs of 12 frames, 3 at a time


@pytest.fixture(autouse=True)
def _report_every_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "LOG_EVERY", 1)


class RecordingSource(BatchSource):
    """Remembers which batches it was asked for."""

    asked: set[int]

    def prepare(self, number: int) -> Prepared:
        self.asked.add(number)
        return super().prepare(number)


def make_trainer(
    directory: Path,
    options: TrainingOptions = OPTIONS,
    method: VSNetOptions = EXACT,
    weights: LossWeights | None = None,
) -> tuple[Trainer, RecordingSource]:
    torch.manual_seed(0)
    objective = VSNetObjective(method, landmarks(), weights or method.weights)
    source = RecordingSource(
        make_frames(12), BatchSettings(method.stride, options.batch_size, Augmentation(), options.seed)
    )
    source.asked = set()
    directory.mkdir(exist_ok=True)
    return Trainer(objective, source, options, directory, Workers()), source


def no_report(trainer: Trainer, losses: Mapping[str, float]) -> None:
    pass


def no_validation(trainer: Trainer) -> Mapping[str, float]:
    return {}


def at_iteration(number: int, action: Callable[[Trainer], None]) -> Callable[[Trainer, Mapping[str, float]], None]:
    """A report that does something once."""

    def report(trainer: Trainer, losses: Mapping[str, float]) -> None:
        if trainer.progress.iteration == number:
            action(trainer)

    return report


def interrupt(trainer: Trainer) -> None:
    raise KeyboardInterrupt


def weights_of(trainer: Trainer) -> dict[str, "torch.Tensor"]:
    return {name: value.clone() for name, value in trainer.objective.state_dict().items()}


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
