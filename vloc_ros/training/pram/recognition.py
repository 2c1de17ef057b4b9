"""How a recognizer is trained, on cached key points alone, and how well it recognises."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from vloc_ros.errors import ConfigError
from vloc_ros.progress import Bar, Progress
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.pram.key_point_batches import KeyPointSettings, KeyPointSource
from vloc_ros.training.pram.network import PRESETS, Preset, Recognizer
from vloc_ros.training.pram.objective import RecognitionObjective
from vloc_ros.training.pram.recognition_frames import RecognitionFrames
from vloc_ros.training.trainer import Trainer
from vloc_ros.training.workers import Workers

BATCH = 32  # frames, as in the paper; some of each one's key points
WARMUP = 30  # iterations; two minutes of a CPU are some hundred
VALIDATIONS = 4  # on held-out frames
PARTS = 1000  # of the budget, that the bar shows
RANKS = 3


@dataclass(frozen=True)
class RecognitionPrecision:
    """`top` 1, 2 and 3: of the key points that show a landmark, the share for which that is among the so many likeliest
    landmarks; `all_key_points`: of all of them, the share for which the likeliest of the landmarks and none is right
    (the paper's table 2); `place`: of the frames, the share whose key points speak for the right place most."""

    top: tuple[float, float, float]
    all_key_points: float
    place: float

    def describe(self) -> str:
        """In one line."""
        ranks = " / ".join(f"{100 * share:.0f}" for share in self.top)
        return f"landmarks right among the best 1 / 2 / 3: {ranks} %, with none: {100 * self.all_key_points:.0f} %"

    def figures(self) -> dict[str, float]:
        """By name."""
        return {f"top_{k}": share for k, share in enumerate(self.top, start=1)} | {"place": self.place}


def train_recognizer(
    frames: RecognitionFrames,
    preset: Preset,
    options: TrainingOptions,
    directory: Path,
    workers: Workers,
    progress: Progress,
    held_out: RecognitionFrames | None = None,
) -> Trainer:
    """Train until the budget is spent, from the checkpoint in the work directory on, if there is one. The trainer's
    `objective.network` is the Recognizer. A batch size of 0 is BATCH. Raises ConfigError for a map of one landmark."""
    if frames.landmarks < 2:
        raise ConfigError(f"recognition: the map has {frames.landmarks} landmark, there is nothing to tell apart")
    options = replace(options.with_defaults(BATCH, workers.count), warmup_iterations=WARMUP)
    torch.manual_seed(options.seed)
    source = KeyPointSource(frames, KeyPointSettings(options.batch_size, options.seed))
    trainer = Trainer(RecognitionObjective(frames, PRESETS[preset]), source, options, directory, workers)
    if trainer.resume() and trainer.fraction < 1:
        progress.say(f"going on from iteration {trainer.progress.iteration}, {100 * trainer.fraction:.0f} % done")

    def validate(trainer: Trainer) -> Mapping[str, float]:
        if held_out is None:
            return {}
        found = recognition_precision(recognizer_of(trainer), held_out)
        progress.say(f"{trainer.progress.seconds / 60:5.1f} min, held out: {found.describe()}")
        return found.figures()

    with progress.bar("recognition", round(PARTS * trainer.fraction)) as bar:
        trainer.train(lambda trainer, losses: _show(bar, trainer, losses), validate, VALIDATIONS)
    return trainer


def recognizer_of(trainer: Trainer) -> Recognizer:
    """What was learned."""
    network = trainer.objective.network
    assert isinstance(network, Recognizer)
    return network


@torch.no_grad()
def recognition_precision(network: Recognizer, frames: RecognitionFrames, key_points: int = 0) -> RecognitionPrecision:
    """Of frames whose labels are known; `key_points`: so many of the best ones of each, 0 for all."""
    training, device = network.training, next(network.parameters()).device
    network.eval()
    right, shown, right_of_all, there_of_all, right_places = np.zeros(RANKS), 0, 0, 0, 0
    places = torch.from_numpy(frames.place_of_landmark).long()
    for row in range(len(frames)):
        one, count = frames[np.array([row])], key_points or frames.scores.shape[1]
        arrays = one.key_points[:, :count], one.scores[:, :count], one.descriptors[:, :count].astype(np.float32)
        found = network.probabilities(*(torch.from_numpy(array).to(device) for array in arrays))[0].cpu()
        there = torch.from_numpy(one.scores[0, :count] > 0)
        found, labels = found[there], torch.from_numpy(one.labels[0, :count]).long()[there]
        ranked = found[:, 1:].topk(min(RANKS, frames.landmarks), dim=1).indices + 1
        hits = (ranked == labels[:, None])[labels > 0]
        right[: hits.shape[1]] += hits.cumsum(1).sum(0).numpy()
        right[hits.shape[1] :] += int(hits.sum())
        shown += len(hits)
        right_of_all += int((found.argmax(1) == labels).sum())
        there_of_all += len(labels)
        votes = torch.zeros(int(places.max()) + 1).index_add_(0, places, found[:, 1:].sum(0))
        right_places += int(votes.argmax()) == int(one.places[0])
    network.train(training)
    first, second, third = (right / max(1, shown)).tolist()
    return RecognitionPrecision(
        (first, second, third), right_of_all / max(1, there_of_all), right_places / max(1, len(frames))
    )


def _show(bar: Bar, trainer: Trainer, losses: Mapping[str, float]) -> None:
    figures = f"loss {losses['recognition']:.2f}, {100 * losses['precision']:.0f} % right"
    bar(round(PARTS * trainer.fraction), PARTS, f"{trainer.progress.iteration} iterations, {figures}")
