"""Stage 5, buffer, only of networks with a frozen encoder: its features of augmented images, computed once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vloc_ros.progress import Progress
from vloc_ros.training.augment import Augmentation
from vloc_ros.training.batches import BatchSettings
from vloc_ros.training.device import choose_device
from vloc_ros.training.device_batches import make_source
from vloc_ros.training.feature_buffer import (
    BUFFER_FILES,
    ENCODED_BATCH,
    FeatureBuffer,
    FrozenEncoder,
    buffer_size,
    build_buffer,
    open_buffer,
)
from vloc_ros.training.frames import TrainingFrames
from vloc_ros.training.stages.stage import Stage

BUFFER = "buffer"


@dataclass(frozen=True, eq=False)
class BufferStage(Stage[FeatureBuffer]):
    """Encodes every training image a few times, augmented differently. `stride`: pixels of an image per cell."""

    encoder: FrozenEncoder
    frames: TrainingFrames
    augmentation: Augmentation
    stride: int
    seed: int

    name = "buffer"

    def inputs(self) -> Mapping[str, Any]:
        return {"encoder": self.encoder.name, "images": self._count, "training.seed": self.seed}

    @property
    def _count(self) -> int:
        return buffer_size(self.frames, self.stride, self.encoder)

    def make(self, directory: Path, progress: Progress) -> FeatureBuffer:
        device = choose_device()
        settings = BatchSettings(self.stride, ENCODED_BATCH, self.augmentation, self.seed)
        source = make_source(self.frames, settings, device)
        with progress.bar("features") as advance:
            return build_buffer(source, self.encoder, self._count, directory / BUFFER, device, advance)

    def load(self, directory: Path) -> FeatureBuffer:
        return open_buffer(directory / BUFFER)

    def artefact(self, directory: Path) -> Iterable[Path]:
        return (directory / BUFFER / name for name in BUFFER_FILES)

    def describe(self, directory: Path, product: FeatureBuffer) -> str:
        size = product.features.nbytes / 1e9
        return f"features of {len(product)} augmented images by {self.encoder.name}, {size:.1f} GB"
