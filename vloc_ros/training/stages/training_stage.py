"""Stage 6, training: the network learns, all processes together; what it has learned is kept in a checkpoint."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from vloc_ros.core.model_spec import NETWORK
from vloc_ros.core.types import LandmarkMap
from vloc_ros.datasets import Dataset
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.files import write_text
from vloc_ros.localizer import Localizer
from vloc_ros.mapping.place_regions import Regions
from vloc_ros.methods import get_method
from vloc_ros.progress import Bar, Progress
from vloc_ros.training.accuracy import accuracy_of, describe
from vloc_ros.training.batches import BatchSettings
from vloc_ros.training.deploy import TorchSession
from vloc_ros.training.device import choose_device
from vloc_ros.training.device_batches import make_source
from vloc_ros.training.feature_buffer import CellSource, FeatureBuffer
from vloc_ros.training.frames import TrainingFrames
from vloc_ros.training.method_options import DenseOptions, options_of_stage
from vloc_ros.training.recipe import DenseRecipe
from vloc_ros.training.stages.settings import TrainingSettings
from vloc_ros.training.stages.stage import Stage
from vloc_ros.training.trainer import Trainer
from vloc_ros.training.workers import Workers

VALIDATIONS = 8  # measurements on held-out frames over the whole budget
QUICK_VALIDATIONS = 3  # where only a head learns, in minutes: eight would take a good part of them
METHOD = "method.json"  # which network the checkpoint is of
PARTS = 1000  # of the budget, that the bar shows


@dataclass(frozen=True, eq=False)
class TrainingStage(Stage[Trainer]):
    """Trains until the budget is spent, from the checkpoint on, if there is one. `buffer`: where a frozen encoder's
    features are; else the network learns from the images of `frames`. `untrained`: the map that held-out frames are
    localized in meanwhile."""

    settings: TrainingSettings
    method: DenseOptions
    recipe: DenseRecipe
    regions: Regions
    frames: TrainingFrames
    buffer: FeatureBuffer | None
    held_out: Dataset
    untrained: LandmarkMap
    workers: Workers

    name = "training"
    run_by = "all"
    last_for_others = True

    def inputs(self) -> Mapping[str, Any]:
        return {**self.settings.inputs(), **options_of_stage(self.method, "training")}

    def files(self) -> Mapping[str, Path]:
        weights: Path | None = getattr(self.method, "pretrained", None)
        return {} if weights is None else {"pretrained": weights}

    def make(self, directory: Path, progress: Progress) -> Trainer:
        if self.workers.rank == 0:
            method = {"name": self.method.method, **vars(self.method)}
            write_text(directory / METHOD, json.dumps(method, indent=1, default=str) + "\n")
        trainer = self._trainer(directory, progress)
        if trainer.fraction < 1:
            self._train(trainer, progress)
        return trainer

    def load(self, directory: Path) -> Trainer:
        raise NotImplementedError  # all processes make it

    def artefact(self, directory: Path) -> Iterable[Path]:
        return ()  # without its checkpoint, `make` begins anew

    def _trainer(self, directory: Path, progress: Progress) -> Trainer:
        options = self.settings.options
        torch.manual_seed(options.seed)
        augmentation = replace(self.recipe.augmentation, grey=self.settings.grey)
        batches = BatchSettings(self.method.stride, options.batch_size, augmentation, options.seed)
        if self.buffer is None:
            source = make_source(self.frames, batches, choose_device())
        else:
            source = CellSource(self.frames, self.buffer, batches)
        trainer = Trainer(self.recipe.objective(self.regions), source, options, directory, self.workers)
        if trainer.resume() and trainer.fraction < 1:
            progress.say(f"going on from iteration {trainer.progress.iteration}, {100 * trainer.fraction:.0f} % done")
        if options.compile and trainer.fraction < 1 and (fault := trainer.compile()) is not None:
            progress.say(f"torch.compile does not work here, training goes on without it ({fault})")
        return trainer

    def _train(self, trainer: Trainer, progress: Progress) -> None:
        session = TorchSession(trainer.objective, self.untrained.manifest.models[NETWORK].grid)
        localizer = Localizer(self.untrained, get_method(self.method.method), {NETWORK: session})

        def validate(trainer: Trainer) -> Mapping[str, float]:
            session.update()
            figures = accuracy_of(evaluate(localizer, self.held_out))
            progress.say(f"{trainer.progress.seconds / 60:5.1f} min, held out: {describe(figures)}")
            return figures

        validations = VALIDATIONS if self.buffer is None else QUICK_VALIDATIONS
        start = round(PARTS * trainer.fraction)
        with progress.bar("training", start) as bar:
            bar(start, PARTS)
            trainer.train(lambda trainer, losses: _show(bar, trainer, losses), validate, validations)

    def describe(self, directory: Path, product: Trainer) -> str:
        done = product.progress
        return f"{done.iteration} iterations in {done.seconds / 60:.1f} minutes"


def _show(bar: Bar, trainer: Trainer, losses: Mapping[str, float]) -> None:
    """The state after an iteration."""
    figures = " ".join(f"{name} {value:.2f}" for name, value in losses.items() if name != "total")
    bar(round(PARTS * trainer.fraction), PARTS, f"{trainer.progress.iteration} iterations, {figures}")
