"""Trainers of a small VS-Net on the wall of tiles, for the tests of the training loop."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from support.training_scenes import landmarks, make_frames
from vloc_ros.training.augment import Augmentation
from vloc_ros.training.batches import BatchSettings, BatchSource, Prepared
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.trainer import Trainer
from vloc_ros.training.vsnet.objective import VSNetObjective
from vloc_ros.training.vsnet.options import LossWeights, VSNetOptions
from vloc_ros.training.workers import Workers

OPTIONS = TrainingOptions(epochs=2, batch_size=3, accumulate=1, warmup_iterations=5)
SOFTMAX = VSNetOptions(embedding=8)
# Nothing in this loss is drawn by chance, so that runs can be compared.
EXACT = replace(SOFTMAX, loss="cross_entropy")
ITERATIONS = 8  # of two epochs of 12 frames, 3 at a time


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
