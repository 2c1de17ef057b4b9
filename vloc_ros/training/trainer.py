"""The training loop: a time or epoch budget, checkpoints that a killed run resumes from, and what it logs."""

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.tensorboard import SummaryWriter

from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.training.batches import Batch, BatchSource
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.objective import VSNetObjective
from vloc_ros.training.resnet import load_torchvision_weights

LOGS = "tensorboard"  # in the work directory
POLY_POWER = 0.9
CHECKPOINT_SECONDS = 60.0
LOG_EVERY = 20
PREPARED_BATCHES = 2
PATIENCE = timedelta(hours=12)  # of the other processes, while the first one makes surface and labels or measures


@dataclass(frozen=True)
class Progress:
    """Where a run is: kept in its checkpoint. Time spent on measuring is not training."""

    iteration: int = 0
    seconds: float = 0.0  # of training, over all interrupted parts


@dataclass(frozen=True)
class Workers:
    """This process among those that `torchrun` started; alone without it."""

    rank: int = 0
    count: int = 1

    @staticmethod
    def join() -> "Workers":
        """Join the other processes, over NCCL where there are GPUs, else over gloo."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return Workers()
        device = choose_device()
        if device.type == "cuda":
            torch.cuda.set_device(device)
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        return Workers(torch.distributed.get_rank(), torch.distributed.get_world_size())

    def leave(self) -> None:
        """Part from the other processes."""
        if self.count > 1:
            torch.distributed.destroy_process_group()

    def barrier(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            torch.distributed.barrier()

    def of_first(self, value: float, device: torch.device) -> float:
        """The first process's value. Clocks differ, and processes that disagree on the learning rate or on when to stop
        would drift apart or wait for each other for ever."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=device)
        torch.distributed.broadcast(shared, 0)
        return float(shared)


def choose_device() -> torch.device:
    """The GPU of this process, or the CPU. Raises ConfigError when there are more processes than GPUs."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    rank, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if rank >= gpus:
        raise ConfigError(f"training: process {rank + 1} has no GPU of its own, there are {gpus}")
    return torch.device("cuda", rank)


Report: TypeAlias = Callable[["Trainer", Mapping[str, float]], None]
Validate: TypeAlias = Callable[["Trainer"], Mapping[str, float]]


class Trainer:
    """Trains a VSNetObjective on batches until the budget is spent.

    The first process reports losses, and measures on held-out frames with `validate`, which gives figures to log.
    """

    def __init__(
        self,
        objective: VSNetObjective,
        source: BatchSource,
        options: TrainingOptions,
        directory: Path,
        workers: Workers,
    ):
        self.objective = objective
        self.options = options
        self.progress = Progress()
        self._source = source
        self._directory = directory
        self._workers = workers
        self._iterations = options.epochs * source.iterations_per_epoch if options.epochs else None
        self._device = choose_device()
        self.objective.to(self._device)
        self.objective.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if options.pretrained is not None and objective.network.backbone is not None:
            load_torchvision_weights(objective.network.backbone, options.pretrained)
        self._optimizer = _optimizer(objective, options)
        self._base_rates = [group["lr"] for group in self._optimizer.param_groups]

    @property
    def checkpoint_path(self) -> Path:
        return self._directory / "checkpoint.pt"

    def resume(self) -> bool:
        """Load the checkpoint, if there is one; says whether there was."""
        if not self.checkpoint_path.exists():
            return False
        try:
            state = torch.load(self.checkpoint_path, map_location=self._device, weights_only=True)
            self.objective.load_state_dict(state["objective"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.progress = Progress(**state["progress"])
        except Exception as error:  # torch raises many kinds, of many lines, for a damaged or foreign file
            reason = type(error).__name__
            raise ModelError(f"{self.checkpoint_path}: damaged or foreign ({reason}); --fresh starts anew") from error
        return True

    def save(self) -> None:
        """Write the checkpoint, all at once."""
        state = {
            "objective": self.objective.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "progress": asdict(self.progress),
        }
        partial = self.checkpoint_path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint_path)

    @property
    def fraction(self) -> float:
        """Share of the budget that is spent."""
        if self._iterations is not None:
            return min(1.0, self.progress.iteration / self._iterations)
        assert self.options.minutes is not None
        return min(1.0, self.progress.seconds / (60 * self.options.minutes))

    def train(self, report: Report, validate: Validate, validations: int) -> None:
        """Run to the end of the budget, measuring at the `validations` - 1 inner marks of as many equal parts of it.

        Whatever ends it, a checkpoint is written. Only a loss that is not finite, which raises ModelError, leaves the
        one before: it has reached the running statistics already.
        """
        model: nn.Module = self.objective
        if self._workers.count > 1:
            model = DistributedDataParallel(model)
        first = self._workers.rank == 0
        log = SummaryWriter(str(self._directory / LOGS)) if first else None
        batches = self._source.batches(self.progress.iteration, workers=PREPARED_BATCHES)
        self.objective.train()
        saved, validated = self.progress.seconds, math.floor(validations * self.fraction)
        healthy = True
        try:
            while self.fraction < 1:
                started = time.monotonic()
                losses = self._step(model, next(batches))
                seconds = self._workers.of_first(time.monotonic() - started, self._device)
                self.progress = Progress(self.progress.iteration + 1, self.progress.seconds + seconds)
                if log is None:
                    continue
                if self.progress.iteration % LOG_EVERY == 0 or self.fraction >= 1:
                    figures = {name: float(value) for name, value in losses.items()}
                    _write(log, "loss", figures, self.progress.iteration)
                    report(self, figures)
                if validated < (due := math.floor(validations * self.fraction)) < validations:
                    validated = due
                    _write(log, "held_out", validate(self), self.progress.iteration)
                if self.progress.seconds > saved + CHECKPOINT_SECONDS:
                    self.save()
                    saved = self.progress.seconds
        except ModelError:
            healthy = False
            raise
        finally:
            batches.close()
            if log is not None:
                log.close()
                if healthy:
                    self.save()

    def _step(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        rate = self._rate()
        for group, base in zip(self._optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = base * rate
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            losses: dict[str, Tensor] = model(batch.to(self._device))
        if not math.isfinite(total := losses["total"].item()):
            raise ModelError(f"training: the loss is {total} at iteration {self.progress.iteration}")
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(losses["total"])
        nn.utils.clip_grad_norm_(self.objective.parameters(), 5.0)
        self._optimizer.step()
        return {name: value.detach() for name, value in losses.items()}

    def _rate(self) -> float:
        """Poly schedule after a linear warm-up, as a share of the base rate."""
        warmup = min(1.0, (self.progress.iteration + 1) / self.options.warmup_iterations)
        poly: float = (1 - self.fraction) ** POLY_POWER
        return warmup * max(1e-3, poly)


def _optimizer(objective: VSNetObjective, options: TrainingOptions) -> torch.optim.AdamW:
    """AdamW; a backbone that starts from learned weights moves at a tenth of the heads' rate."""
    backbone = objective.network.backbone if options.pretrained is not None else None
    slow = [] if backbone is None else list(backbone.parameters())
    slow_ids = {id(p) for p in slow}
    fast = [p for p in objective.parameters() if id(p) not in slow_ids]
    groups: list[dict[str, Any]] = [{"params": fast, "lr": options.learning_rate}]
    if slow:
        groups.append({"params": slow, "lr": options.learning_rate / 10})
    return torch.optim.AdamW(groups, weight_decay=options.weight_decay)


def _write(log: SummaryWriter, group: str, figures: Mapping[str, float], iteration: int) -> None:
    for name, value in figures.items():
        log.add_scalar(f"{group}/{name}", value, iteration)
