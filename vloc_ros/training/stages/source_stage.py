"""Stage 1, sources: the frames that a map is made from, and those that are kept back to measure with."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.joined_places import place_parts
from vloc_ros.datasets.pinhole_views import in_pinhole_views
from vloc_ros.datasets.posed_files import require_depth_of
from vloc_ros.datasets.recordings import Recordings
from vloc_ros.datasets.subset import Subset, split_held_out
from vloc_ros.errors import DatasetError
from vloc_ros.files import write_text
from vloc_ros.mapping.place_geometry import Place
from vloc_ros.progress import Progress
from vloc_ros.training.stages.settings import SourceSettings
from vloc_ros.training.stages.stage import Stage

LISTED = "sources.json"
MIN_FRAMES = 10
LOOKED_AT = 3  # frames of each place, whether they are the images that they were


@dataclass(frozen=True, eq=False)
class Sources:
    """`training` frames by place in `places`; the frames of `held_out` are never learned from. Images of a wide lens
    are learned from as pinhole views, and are held out as they are. `description`: where they are from, for people."""

    description: str
    training: Dataset
    held_out: Dataset
    places: tuple[Place, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the places."""
        return tuple(place.name for place in self.places)


def open_sources(settings: SourceSettings) -> Sources:
    """Open the data set. Raises DatasetError for one that cannot be read or has too few frames."""
    dataset = open_dataset(settings.dataset, settings.root, settings.split, settings.poses)
    if len(dataset) < MIN_FRAMES:
        raise DatasetError(
            f"{settings.description}: {len(dataset)} frames are too few to learn a map from, at least {MIN_FRAMES}"
        )
    if isinstance(dataset, Recordings):
        _require_one_camera(dataset)
    training, held_out = dataset.split_held_out() if isinstance(dataset, Recordings) else split_held_out(dataset)
    places = tuple(Place(name, in_pinhole_views(part)) for name, part in place_parts(training))
    _require_training_frames(settings.description, held_out, places)
    return Sources(settings.description, in_pinhole_views(training), held_out, places)


def _require_one_camera(recordings: Recordings) -> None:
    """Raise DatasetError for recordings of several cameras: what one does not see any more is told from what another
    saw only where both see alike."""
    first, names = recordings.camera(0), recordings.names
    for index in range(len(recordings)):
        if (camera := recordings.camera(index)) != first:
            raise DatasetError(f"update: frame '{names[index]}' has another camera than '{names[0]}': {camera}")


def _require_training_frames(description: str, held_out: Dataset, places: Sequence[Place]) -> None:
    """Raise DatasetError for a place whose frames are all held out: there is nothing to map, and nothing to compare
    them with."""
    mapped = {place.name for place in places}
    of_place = Counter(held_out.place(index) for index in range(len(held_out)))
    if left := [name for name in of_place if name not in mapped]:
        raise DatasetError(
            f"{description}: all frames of place '{left[0]}' ({of_place[left[0]]}) are kept back to measure with: it "
            "needs more, or has to be left out"
        )


def require_depth_files(sources: Sources) -> None:
    """Raise DatasetError where some of the training frames have no depth and others do."""
    for place in sources.places:
        if isinstance(place.frames, Subset):
            require_depth_of(place.frames)


@dataclass(frozen=True, eq=False)
class SourceStage(Stage[Sources]):
    """Notes which frames there are; they stay where they are."""

    settings: SourceSettings
    sources: Sources

    name = "sources"

    def inputs(self) -> Mapping[str, Any]:
        return {**self.settings.inputs(), "frames": digest(self.sources)}

    def make(self, directory: Path, progress: Progress) -> Sources:
        sources = self.sources
        places = {place.name: list(place.frames.names) for place in sources.places}
        content = {"places": places, "held_out": list(sources.held_out.names)}
        write_text(directory / LISTED, json.dumps(content, indent=1) + "\n")
        return sources

    def load(self, directory: Path) -> Sources:
        return self.sources

    def artefact(self, directory: Path) -> Iterable[Path]:
        return (directory / LISTED,)

    def describe(self, directory: Path, product: Sources) -> str:
        count, kept = len(product.training), len(product.held_out)
        where = f" of {len(product.places)} places" if len(product.places) > 1 else ""
        return f"{count} frames{where} to learn from, {kept} to measure with"


def digest(sources: Sources) -> str:
    """Hash of all frames' names, poses and cameras, and of some of the images and of their depth."""
    found = hashlib.sha256()
    for part in _parts(sources):
        found.update(part)
    return found.hexdigest()


def _parts(sources: Sources) -> Iterator[bytes]:
    for frames in (*(place.frames for place in sources.places), sources.held_out):
        for index, name in enumerate(frames.names):
            yield f"{name} {frames.camera(index)}".encode()
            yield frames.map_from_camera(index).tobytes()
    for frames in (place.frames for place in sources.places):
        for index in sorted({round(k * (len(frames) - 1) / (LOOKED_AT - 1)) for k in range(LOOKED_AT)}):
            frame = frames.frame(index, depth=frames.has_depth)
            yield frame.image.rgb.tobytes()
            yield b"" if frame.depth is None else frame.depth.tobytes()
