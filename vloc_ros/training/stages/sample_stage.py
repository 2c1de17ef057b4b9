"""Stage 4, samples: images at the network's size and what each cell of them shows, of frames and of novel views."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vloc_ros.datasets import Dataset
from vloc_ros.datasets.joined_places import place_parts
from vloc_ros.datasets.pinhole_views import in_pinhole_views
from vloc_ros.errors import ConfigError
from vloc_ros.mapping.geometry_kinds import GeometryKind
from vloc_ros.mapping.novel_views import NovelViews
from vloc_ros.mapping.place_geometry import Geometry
from vloc_ros.mapping.place_regions import Regions
from vloc_ros.progress import Progress
from vloc_ros.training.frames import FRAME_FILES, FrameReader, TrainingFrames, build_frames, open_frames
from vloc_ros.training.map_options import NOVEL_VIEWS
from vloc_ros.training.method_options import DenseOptions, options_of_stage
from vloc_ros.training.recipe import DenseRecipe
from vloc_ros.training.stages.settings import SampleSettings
from vloc_ros.training.stages.source_stage import Sources
from vloc_ros.training.stages.stage import Stage

FRAMES = "frames"
CALIBRATION_VIEWS = 3  # from beside each held-out frame


def can_be_rendered(frames: Dataset, kind: GeometryKind) -> bool:
    """Whether there are novel views of frames with the depth that belongs to their place."""
    return kind.reads_depth and kind.labels_any_view and frames.has_depth


def default_novel_views(kind: GeometryKind, sources: Sources) -> float:
    """How many for each frame where nobody says: none if there is nothing to render from."""
    return NOVEL_VIEWS if any(can_be_rendered(place.frames, kind) for place in sources.places) else 0.0


def require_novel_views(count: float | None, kind: GeometryKind, sources: Sources) -> None:
    """Raise ConfigError if so many views for each frame are asked for that cannot be rendered or labelled."""
    for place in sources.places:
        if count and not can_be_rendered(place.frames, kind):
            where = f"place '{place.name}': " if place.name else ""
            reason = "no depth to render from" if kind.labels_any_view else "sparse points label recorded frames only"
            raise ConfigError(f"training: {where}{count:g} novel views for each frame: {reason}")


def calibration_views(
    held_out: Dataset, kind: GeometryKind, geometry: Geometry, size: tuple[int, int], seed: int
) -> list[NovelViews]:
    """Views (width, height) from beside the held-out frames of each place that they can be rendered from."""
    parts = [geometry.of(name).frames(in_pinhole_views(part)) for name, part in place_parts(held_out)]
    rendered = [part for part in parts if can_be_rendered(part, kind)]
    return [NovelViews(part, CALIBRATION_VIEWS * len(part), *size, seed) for part in rendered]


@dataclass(frozen=True, eq=False)
class SampleStage(Stage[TrainingFrames]):
    """Reads or renders, shrinks and labels every image once."""

    settings: SampleSettings
    method: DenseOptions
    recipe: DenseRecipe
    kind: GeometryKind
    sources: Sources
    geometry: Geometry
    regions: Regions

    name = "samples"

    def inputs(self) -> Mapping[str, Any]:
        return {**self.settings.inputs(), **options_of_stage(self.method, "samples")}

    def make(self, directory: Path, progress: Progress) -> TrainingFrames:
        size = self.settings.size(self.sources.training.camera(0))
        readers = [
            reader
            for place in self.sources.places
            for reader in self._readers(self.geometry.of(place.name).frames(place.frames), size)
        ]
        labeller = self.recipe.labeller(self.geometry, self.regions)
        with progress.bar("samples") as advance:
            return build_frames(readers, self.sources.names, labeller, *size, directory / FRAMES, advance)

    def _readers(self, frames: Dataset, size: tuple[int, int]) -> list[FrameReader]:
        """Of the frames of a place, and of views (width, height) from beside their path."""
        recorded: list[FrameReader] = [
            partial(frames.frame, index, depth=frames.has_depth) for index in range(len(frames))
        ]
        count = self.settings.novel_views
        if not (count and can_be_rendered(frames, self.kind)):
            return recorded
        novel = NovelViews(frames, round(count * len(frames)), *size, self.settings.seed)
        return recorded + [partial(novel.frame, number) for number in range(len(novel))]

    def load(self, directory: Path) -> TrainingFrames:
        return open_frames(directory / FRAMES)

    def artefact(self, directory: Path) -> Iterable[Path]:
        return (directory / FRAMES / name for name in FRAME_FILES)

    def describe(self, directory: Path, product: TrainingFrames) -> str:
        height, width = product.images.shape[1:3]
        novel = len(product) - len(self.sources.training)
        return f"{len(product)} images of {width}x{height} pixels" + (f", {novel} of them novel views" if novel else "")
