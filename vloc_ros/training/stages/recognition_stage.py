"""The stage training of sparse methods: a recognizer learns which landmark each key point shows."""

import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from vloc_ros.errors import ModelError
from vloc_ros.files import write_bytes, write_errors, write_text
from vloc_ros.mapping.place_geometry import Geometry
from vloc_ros.progress import Progress
from vloc_ros.training.device import Workers
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.method_options import options_of_stage
from vloc_ros.training.pram.network import PRESETS, Recognizer
from vloc_ros.training.pram.recognition import recognizer_of, train_recognizer
from vloc_ros.training.pram.recognition_frames import RecognitionFrames
from vloc_ros.training.recipe import SparseRecipe
from vloc_ros.training.stages.settings import MAY_CHANGE
from vloc_ros.training.stages.source_stage import Sources
from vloc_ros.training.stages.stage import Stage
from vloc_ros.training.trainer import LOGS

TRAINING = "recognition"  # its checkpoint and curves, in the work directory
RECOGNITION_LOGS = f"{TRAINING}/{LOGS}"
LEARNED_FROM = "learned_from.json"  # beside these
RECOGNIZER = "recognizer.pt"


@dataclass(frozen=True, eq=False)
class RecognitionStage(Stage[Recognizer]):
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

    def make(self, directory: Path, progress: Progress) -> Recognizer:
        frames = self.recipe.recognition_frames(self.sources.places, self.geometry, progress)
        self._require_same(directory / TRAINING, frames)
        preset = self.recipe.options.preset
        trainer = train_recognizer(frames, preset, self.options, directory / TRAINING, Workers(), progress)
        network = recognizer_of(trainer)
        _save(directory / RECOGNIZER, network, preset)
        return network

    def _require_same(self, training: Path, frames: RecognitionFrames) -> None:
        """Empty the directory of a training unless it learned the same."""
        options = {name: value for name, value in asdict(self.options).items() if name not in MAY_CHANGE}
        labels = hashlib.sha256(frames.labels.tobytes()).hexdigest()
        learned_from = json.dumps([labels, frames.size, self.recipe.options.preset, options])
        path = training / LEARNED_FROM
        if not path.is_file() or path.read_text() != learned_from:
            with write_errors(training):
                shutil.rmtree(training, ignore_errors=True)
                training.mkdir()
            write_text(path, learned_from)

    def load(self, directory: Path) -> Recognizer:
        path = directory / RECOGNIZER
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            network = Recognizer(saved["landmarks"], saved["dimensions"], saved["size"], PRESETS[saved["preset"]])
            network.load_state_dict(saved["network"])
        except Exception as error:  # whatever a damaged file makes of it
            reason = str(error).partition("\n")[0]
            raise ModelError(f"{path}: damaged or foreign ({reason}); --fresh makes it anew") from error
        return network

    def artefact(self, directory: Path) -> Iterable[Path]:
        return (directory / RECOGNIZER,)

    def describe(self, directory: Path, product: Recognizer) -> str:
        count = sum(parameter.numel() for parameter in product.parameters())
        return f"a recognizer of {product.landmarks} landmarks, {count / 1e6:.2f} M parameters"


def _save(path: Path, network: Recognizer, preset: str) -> None:
    buffer = io.BytesIO()
    saved = {name: getattr(network, name) for name in ("landmarks", "dimensions", "size")}
    torch.save({**saved, "preset": preset, "network": network.state_dict()}, buffer)
    write_bytes(path, buffer.getvalue())
