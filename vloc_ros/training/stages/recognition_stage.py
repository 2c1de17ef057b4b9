"""The stage training of sparse methods: a recognizer learns which landmark each key point shows."""

import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vloc_ros.core.feature_spec import MAX_KEY_POINTS
from vloc_ros.datasets.joined_places import place_parts
from vloc_ros.datasets.pinhole_views import in_pinhole_views
from vloc_ros.errors import ModelError
from vloc_ros.files import write_bytes, write_errors, write_text
from vloc_ros.mapping.place_geometry import Geometry
from vloc_ros.progress import Progress
from vloc_ros.training.features.extraction import extract_features
from vloc_ros.training.features.opening import open_extractor
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.method_options import options_of_stage
from vloc_ros.training.pram.deploy import RECOGNIZED
from vloc_ros.training.pram.network import PRESETS, Recognizer
from vloc_ros.training.pram.recognition import recognition_precision, recognizer_of, train_recognizer
from vloc_ros.training.pram.recognition_frames import PosedImages, RecognitionFrames
from vloc_ros.training.recipe import SparseRecipe
from vloc_ros.training.stages.feature_stage import features_of
from vloc_ros.training.stages.settings import MAY_CHANGE
from vloc_ros.training.stages.source_stage import Sources
from vloc_ros.training.stages.stage import Stage
from vloc_ros.training.training_files import RECOGNITION
from vloc_ros.training.workers import Workers

LEARNED_FROM = "learned_from.json"  # beside its checkpoint and curves
RECOGNIZER = "recognizer.pt"


@dataclass(frozen=True, eq=False)
class TrainedRecognizer:
    """What was learned, and how well it recognises landmarks in the frames that were held out, for people."""

    network: Recognizer
    held_out: Mapping[str, float]

    def summary(self) -> dict[str, Any]:
        """For the map's record of its training."""
        parameters = sum(parameter.numel() for parameter in self.network.parameters())
        return {"recognizer_parameters": parameters, "recognition_held_out": dict(self.held_out)}


@dataclass(frozen=True, eq=False)
class RecognitionStage(Stage[TrainedRecognizer]):
    """Trains from cached key points alone. A training that was interrupted, or was too short, goes on as long as what
    is learned stays the same; else it begins anew, as it takes minutes."""

    options: TrainingOptions
    recipe: SparseRecipe
    sources: Sources
    geometry: Geometry

    name = "training"

    def inputs(self) -> Mapping[str, Any]:
        training = {f"training.{name}": value for name, value in asdict(self.options).items()}
        return {**training, **options_of_stage(self.recipe.options, "training")}

    def make(self, directory: Path, progress: Progress) -> TrainedRecognizer:
        frames = self.recipe.recognition_frames(self.sources.places, self.geometry, progress)
        self._require_same(directory / RECOGNITION, frames)
        preset = self.recipe.options.preset
        options = _for_places(self.options, len(self.sources.places))
        unseen = self._held_out(directory / RECOGNITION, progress)
        trainer = train_recognizer(frames, preset, options, directory / RECOGNITION, Workers(), progress, unseen)
        network = recognizer_of(trainer)
        found = recognition_precision(network, unseen, RECOGNIZED)
        trained = TrainedRecognizer(network, {"frames": len(unseen), **found.figures()})
        _save(directory / RECOGNIZER, trained, preset)
        return trained

    def _held_out(self, training: Path, progress: Progress) -> RecognitionFrames:
        """The held-out frames of every place, whose key points are found with the same extractor."""
        features = features_of(self.sources)[0]
        extractor = open_extractor(str(self.recipe.options.features), features.size, MAX_KEY_POINTS)
        images = {
            place.name: PosedImages(features_of(self.sources)[0], np.empty((0, 4, 4))) for place in self.sources.places
        }
        for name, part in place_parts(self.sources.held_out):
            frames = in_pinhole_views(part)
            found = extract_features(frames, extractor, training / f"held_out_{name}", progress)
            poses = np.array([frames.map_from_camera(index) for index in range(len(frames))])
            images[name] = PosedImages(found, poses)
        return self.recipe.labelled_images(self.sources.places, self.geometry, images)

    def _require_same(self, training: Path, frames: RecognitionFrames) -> None:
        """Empty the directory of a training unless it learned the same."""
        options = {name: value for name, value in asdict(self.options).items() if name not in MAY_CHANGE}
        labels = hashlib.sha256(frames.labels.tobytes()).hexdigest()
        learned_from = json.dumps([labels, frames.size, asdict(PRESETS[self.recipe.options.preset]), options])
        path = training / LEARNED_FROM
        if not path.is_file() or path.read_text() != learned_from:
            with write_errors(training):
                shutil.rmtree(training, ignore_errors=True)
                training.mkdir()
            write_text(path, learned_from)

    def load(self, directory: Path) -> TrainedRecognizer:
        path = directory / RECOGNIZER
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            network = Recognizer(saved["landmarks"], saved["dimensions"], saved["size"], PRESETS[saved["preset"]])
            network.load_state_dict(saved["network"])
            held_out = dict(saved["held_out"])
        except Exception as error:  # whatever a damaged file makes of it
            reason = str(error).partition("\n")[0]
            raise ModelError(f"{path}: damaged or foreign ({reason}); --fresh makes it anew") from error
        return TrainedRecognizer(network, held_out)

    def artefact(self, directory: Path) -> Iterable[Path]:
        return (directory / RECOGNIZER,)

    def describe(self, directory: Path, product: TrainedRecognizer) -> str:
        count = sum(parameter.numel() for parameter in product.network.parameters())
        tops = " / ".join(f"{100 * product.held_out[f'top_{k}']:.0f}" for k in (1, 2, 3))
        return (
            f"a recognizer of {product.network.landmarks} landmarks, {count / 1e6:.2f} M parameters; "
            f"right among the best 1 / 2 / 3: {tops} % in {product.held_out['frames']:.0f} held-out frames"
        )


def _for_places(options: TrainingOptions, places: int) -> TrainingOptions:
    """Minutes are those of one place: every place has as many landmarks to learn."""
    return options if options.minutes is None else replace(options, minutes=options.minutes * places)


def _save(path: Path, trained: TrainedRecognizer, preset: str) -> None:
    network, buffer = trained.network, io.BytesIO()
    saved = {name: getattr(network, name) for name in ("landmarks", "dimensions", "size")}
    content = {**saved, "preset": preset, "network": network.state_dict(), "held_out": dict(trained.held_out)}
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())
