"""The training loop: a time or epoch budget, checkpoints that a killed run resumes from, and what it logs.

A step takes `accumulate` batches, shared evenly among the processes. Each is normalised by its own statistics, has its
own numbers drawn by chance and counts the same, so that it does not matter how many processes they are shared among.
"""

import io
import itertools
import math
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vloc_ros.errors import ModelError
from vloc_ros.files import uninterrupted, write_bytes
from vloc_ros.training.batches import Source
from vloc_ros.training.curve_writer import CurveWriter
from vloc_ros.training.device import choose_device, precision, set_up
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.objective import Objective
from vloc_ros.training.statistics import RunningStatistics
from vloc_ros.training.training_files import CHECKPOINT, LOGS
from vloc_ros.training.workers import Workers

POLY_POWER = 0.9
CHECKPOINT_SECONDS = 60.0
LOG_EVERY = 20
CHECK_EVERY = {"cpu": 1, "cuda": LOG_EVERY}  # to look at a result is to wait for it, and a GPU should have work queued
PREPARED_BATCHES = 2
MAX_GRADIENT = 5.0
MAX_REASON = 200  # characters
SEED_STEP = 2**40  # more than there are batches, so that two seeds have nothing in common


@dataclass(frozen=True)
class TrainingProgress:
    """Where a run is: kept in its checkpoint. Time spent on measuring is not training."""

    iteration: int = 0
    seconds: float = 0.0  # of training, over all interrupted parts


Losses: TypeAlias = dict[str, Tensor]
Report: TypeAlias = Callable[["Trainer", Mapping[str, float]], None]
Validate: TypeAlias = Callable[["Trainer"], Mapping[str, float]]


class Trainer:
    """Trains an Objective on batches until the budget is spent.

    The first process reports losses, and measures on held-out frames with `validate`, which gives figures to log.
    Raises ConfigError if the batches of a step cannot be shared evenly among the processes.
    """

    def __init__(
        self,
        objective: Objective,
        source: Source,
        options: TrainingOptions,
        directory: Path,
        workers: Workers,
    ):
        self.objective = objective
        self.options = options
        self.progress = TrainingProgress()
        self._source = source
        self._directory = directory
        self._workers = workers
        self._share = workers.share_of(options.accumulate)
        epoch = max(1, len(source.frames) // (source.settings.batch_size * options.accumulate))
        self._iterations = options.epochs * epoch if options.epochs else None
        self._device = choose_device()
        set_up(self._device)
        self.objective.to(self._device)
        self.objective.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._statistics = RunningStatistics(objective)
        self._optimizer = _optimizer(objective, options, self._device)
        self._base_rates = [group["lr"] for group in self._optimizer.param_groups]

    @property
    def checkpoint_path(self) -> Path:
        return self._directory / CHECKPOINT

    def resume(self) -> bool:
        """Load the checkpoint, if there is one; says whether there was."""
        if not self.checkpoint_path.exists():
            return False
        try:
            state = torch.load(self.checkpoint_path, map_location=self._device, weights_only=True)
            for group in state["optimizer"]["param_groups"]:  # the other device's way, if it was written on another
                group["fused"] = self._optimizer.defaults["fused"]
            self.objective.load_state_dict(state["objective"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.progress = TrainingProgress(**state["progress"])
        except Exception as error:  # torch raises many kinds, of many lines, for a damaged or foreign file
            reason = type(error).__name__
            raise ModelError(f"{self.checkpoint_path}: damaged or foreign ({reason}); --fresh starts anew") from error
        return True

    def save(self) -> None:
        """Write the checkpoint, all at once. Raises ConfigError when it cannot be written."""
        state = {
            "objective": self.objective.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "progress": asdict(self.progress),
        }
        content = io.BytesIO()  # of a file that cannot be written torch says what nobody understands
        torch.save(state, content)
        write_bytes(self.checkpoint_path, content.getvalue())

    @property
    def fraction(self) -> float:
        """Share of the budget that is spent."""
        if self._iterations is not None:
            return min(1.0, self.progress.iteration / self._iterations)
        assert self.options.minutes is not None
        return min(1.0, self.progress.seconds / (60 * self.options.minutes))

    def compile(self, backend: str | Callable[..., Any] = "inductor") -> str | None:
        """Have the network compiled, and try that on a batch, before the clock runs; else it stays as it is, and the
        reason is returned, in one line."""
        statistics = {name: value.clone() for name, value in self.objective.named_buffers()}
        self.objective.train()
        self.objective.compile_network(backend)
        try:
            number = self._numbers_of(self.progress.iteration)[0]
            self._pass(self.objective, iter([self._source.batch(number)]), 0)
        except Exception as error:  # compilers raise many kinds, of many lines
            self.objective.run_eagerly()
            return textwrap.shorten(f"{type(error).__name__}: {error}", MAX_REASON)
        finally:
            self._optimizer.zero_grad(set_to_none=True)
            for name, value in self.objective.named_buffers():
                value.copy_(statistics[name])
        return None

    def train(self, report: Report, validate: Validate, validations: int) -> None:
        """Run to the end of the budget, measuring at the `validations` - 1 inner marks of as many equal parts of it.

        Whatever ends it, a checkpoint is written. Only a network that is not finite, which raises ModelError as soon as
        it is seen, leaves the one before.
        """
        first = self._workers.rank == 0
        log = CurveWriter(self._directory / LOGS) if first else None
        batches = self._source.batches(self._batch_numbers(), workers=PREPARED_BATCHES)
        marks = _Marks(validations, self)
        self.objective.train()
        try:
            model = self._distributed()
            unchecked: list[tuple[list[Losses], Tensor]] = []
            since = time.monotonic()
            while self.fraction < 1:
                unchecked.append(self.step(model, batches))
                self.progress = replace(self.progress, iteration=self.progress.iteration + 1)
                if self.progress.iteration % CHECK_EVERY[self._device.type] and self.fraction < 1:
                    continue
                self._check(unchecked)
                self._workers.average(self._statistics.tensors)
                seconds = self._workers.of_first(time.monotonic() - since, self._device)
                self.progress = replace(self.progress, seconds=self.progress.seconds + seconds)
                if log is not None:
                    self._log_and_save(log, unchecked[-1][0], report, validate, marks)
                since, unchecked = time.monotonic(), []
        finally:
            # `torchrun` passes on the Ctrl-C that its processes have had from the terminal already, and the second must
            # not spoil what the first began.
            with uninterrupted():
                batches.close()
                if log is not None:
                    log.close()
                    if self._is_finite():
                        self.save()

    def _log_and_save(
        self, log: CurveWriter, losses: list[Losses], report: Report, validate: Validate, marks: "_Marks"
    ) -> None:
        """What the first process does between steps: log, measure, save."""
        if self.progress.iteration % LOG_EVERY == 0 or self.fraction >= 1:
            figures = {name: sum(float(terms[name]) for terms in losses) / len(losses) for name in losses[0]}
            log.write("loss", figures, self.progress.iteration)
            report(self, figures)
        if marks.is_due_to_validate():
            log.write("held_out", validate(self), self.progress.iteration)
        if marks.is_due_to_save() and self._is_finite():
            self.save()

    def _batch_numbers(self) -> Iterator[int]:
        """This process's batches, `_share` for each step from the next one on."""
        for iteration in itertools.count(self.progress.iteration):
            yield from self._numbers_of(iteration)

    def _numbers_of(self, iteration: int) -> range:
        first = iteration * self.options.accumulate + self._workers.rank * self._share
        return range(first, first + self._share)

    def _distributed(self) -> nn.Module:
        if self._workers.count == 1:
            return self.objective
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch 2.13 has another name for what 2.4 calls so
            return DistributedDataParallel(self.objective, broadcast_buffers=False, gradient_as_bucket_view=True)

    def step(self, model: nn.Module, batches: Iterator[Any]) -> tuple[list[Losses], Tensor]:
        """One step; the losses of each batch and the norm of the gradient, which nobody has waited for."""
        rate = self._rate()
        for group, base in zip(self._optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = base * rate
        self._optimizer.zero_grad(set_to_none=True)
        passes = [partial(self._pass, model, batches, place) for place in range(self._share)]
        losses = self._statistics.mean_over(passes)
        norm = nn.utils.clip_grad_norm_(self.objective.parameters(), MAX_GRADIENT)
        self._optimizer.step()
        return losses, norm.detach()

    def _pass(self, model: nn.Module, batches: Iterator[Any], place: int) -> Losses:
        """Add the gradient of one of the step's batches, the `place`-th of this process."""
        number = self._numbers_of(self.progress.iteration)[place]
        torch.manual_seed((self.options.seed * SEED_STEP + number) % 2**63)
        waits = isinstance(model, DistributedDataParallel) and place < self._share - 1  # for the step's last batch
        with model.no_sync() if waits else nullcontext():  # type: ignore[operator]
            with precision(self._device):
                losses: Losses = model(next(batches).to(self._device))
            torch.autograd.backward(losses["total"] / self._share)
        return {name: value.detach() for name, value in losses.items()}

    def _check(self, steps: list[tuple[list[Losses], Tensor]]) -> None:
        """Raise ModelError if the loss or the gradient of one of the last steps was not finite."""
        figures = torch.stack([value for losses, norm in steps for value in (_total(losses), norm)]).view(-1, 2)
        first = self.progress.iteration - len(steps)
        for iteration, (total, norm) in enumerate(figures.tolist(), start=first):
            if not math.isfinite(total):
                raise ModelError(f"training: the loss is {total} at iteration {iteration}")
            if not math.isfinite(norm):
                raise ModelError(f"training: the gradient is {norm} at iteration {iteration}")

    def _is_finite(self) -> bool:
        """Whether every parameter and statistic is: what is not must never get into a checkpoint."""
        values = [v for v in self.objective.state_dict().values() if v.is_floating_point()]
        return bool(torch.stack([value.isfinite().all() for value in values]).all())

    def _rate(self) -> float:
        """Poly schedule after a linear warm-up, as a share of the base rate."""
        warmup = min(1.0, (self.progress.iteration + 1) / self.options.warmup_iterations)
        poly: float = (1 - self.fraction) ** POLY_POWER
        return warmup * max(1e-3, poly)


class _Marks:
    """When it is time to measure and to save."""

    def __init__(self, validations: int, trainer: Trainer):
        self._validations = validations
        self._trainer = trainer
        self._saved, self._validated = trainer.progress.seconds, self._mark()

    def _mark(self) -> int:
        return math.floor(self._validations * self._trainer.fraction)

    def is_due_to_validate(self) -> bool:
        """Once after each inner mark."""
        before, self._validated = self._validated, self._mark()
        return before < self._validated < self._validations

    def is_due_to_save(self) -> bool:
        """Once every CHECKPOINT_SECONDS."""
        if self._trainer.progress.seconds <= self._saved + CHECKPOINT_SECONDS:
            return False
        self._saved = self._trainer.progress.seconds
        return True


def _total(losses: list[Losses]) -> Tensor:
    return torch.stack([terms["total"] for terms in losses]).sum()


def _optimizer(objective: Objective, options: TrainingOptions, device: torch.device) -> torch.optim.AdamW:
    groups = [{**group, "lr": group["lr"] * options.rate_scale} for group in objective.parameter_groups()]
    return torch.optim.AdamW(groups, weight_decay=options.weight_decay, fused=True if device.type == "cuda" else None)
