"""Several recordings of one place, each with poses in a frame of its own, as one data set in the frame of the place.

`vloc map --update` writes the list that is read here, into the work directory of the map that it makes.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.concatenation import Concatenation
from vloc_ros.datasets.subset import Subset, split_held_out
from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.datasets.wrapper import DatasetWrapper
from vloc_ros.errors import DatasetError, VlocError
from vloc_ros.files import write_text
from vloc_ros.geometry.transforms import rigid_fault

KIND = "recordings"
FORMAT = 1
Float = NDArray[np.float64]


@dataclass(frozen=True)
class RecordingSource:
    """Where a recording is, as `open_dataset` has it; `place_from_recording`: 16 numbers, the rows of the transform
    from the frame of its poses. `number`: 1 for the first recording of the place, and so on."""

    number: int
    dataset: str
    root: str | None
    split: str
    poses: str | None
    place_from_recording: tuple[float, ...] = tuple(np.eye(4).ravel().tolist())

    def open(self) -> Dataset:
        """The frames with poses as they were recorded. Raises DatasetError."""
        return open_dataset(self.dataset, None if self.root is None else Path(self.root), self.split, self.poses)


@dataclass(frozen=True)
class RecordingList:
    """The recordings of a place, the oldest first. `retired`: frames (NUMBER/NAME) that show what is there no longer.
    `update`: in JSON's types, how the newest one was brought into the frame of the place;
    `settled`: by the points that it shares with the others, too."""

    sources: tuple[RecordingSource, ...]
    retired: tuple[str, ...] = ()
    update: Mapping[str, Any] = field(default_factory=dict)
    settled: bool = False

    def save(self, path: Path) -> None:
        """Write it, all at once. Raises ConfigError."""
        write_text(path, json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")


def load_recordings(path: Path) -> RecordingList:
    """Read what `save` wrote. Raises DatasetError for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, this version knows {FORMAT}")
        sources = tuple(_source(node) for node in content["sources"])
        if not sources:
            raise ValueError("no recording")
        return RecordingList(sources, tuple(content["retired"]), dict(content["update"]), bool(content["settled"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: not a list of recordings as `vloc map --update` writes it ({error})") from error


def _source(node: Mapping[str, Any]) -> RecordingSource:
    source = RecordingSource(**{**node, "place_from_recording": tuple(map(float, node["place_from_recording"]))})
    if fault := rigid_fault(np.reshape(source.place_from_recording, (4, 4))):
        raise ValueError(f"recording {source.number}: its transform has {fault}")
    return source


@dataclass(frozen=True, eq=False)
class AlignedFrames(DatasetWrapper):
    """The frames of `parent`, a recording, with poses in the frame of the place; NUMBER/ stands in front of names."""

    number: int
    place_from_recording: Float

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.number}/{name}" for name in self.parent.names)

    def map_from_camera(self, index: int) -> Float:
        pose: Float = self.place_from_recording @ self.parent.map_from_camera(index)
        return pose

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        frame = self.parent.frame(index, depth=depth)
        return replace(frame, name=self.names[index], map_from_camera=self.map_from_camera(index))


@dataclass(frozen=True, eq=False)
class Recordings(Concatenation[AlignedFrames]):
    """A Dataset of the frames of `parts`, one recording after the other; `listed` is what it was made from."""

    listed: RecordingList

    def place(self, index: int) -> str:
        return ""

    def split_held_out(self) -> tuple[Subset, Subset]:
        """(training, held-out) parts of each recording as they are of that recording alone, so that no frame is learned
        from now that was measured with before; without the frames that are retired."""
        training: list[int] = []
        held_out: list[int] = []
        for part, end in zip(self.parts, self.ends, strict=True):
            for found, own in zip((training, held_out), split_held_out(part), strict=True):
                found.extend(end - len(part) + index for index in own.indices)
        names, retired = self.names, set(self.listed.retired)
        kept = ([index for index in found if names[index] not in retired] for found in (training, held_out))
        return Subset(self, next(kept)), Subset(self, next(kept))


def number_of(name: str) -> int:
    """That of the recording of a frame of this name."""
    return int(name.partition("/")[0])


def recordings_below(dataset: Dataset) -> Recordings | None:
    """The recordings that a data set's frames are of; None for any other data set."""
    while isinstance(dataset, Subset | DatasetWrapper):
        dataset = dataset.parent
    return dataset if isinstance(dataset, Recordings) else None


def open_recordings(root: Path | None, split: str, poses: Path | str | None = None) -> Recordings:
    """Open the recordings that the file `root` lists. Raises DatasetError naming the file and the recording."""
    if root is None or split != "all" or poses is not None:
        raise DatasetError(f"{KIND}: give the list of recordings as the root, the split 'all' and no poses")
    listed = load_recordings(root)
    return Recordings(tuple(_aligned(root, source) for source in listed.sources), listed)


def _aligned(path: Path, source: RecordingSource) -> AlignedFrames:
    try:
        return AlignedFrames(source.open(), source.number, np.reshape(source.place_from_recording, (4, 4)))
    except VlocError as error:
        raise DatasetError(f"{path}, recording {source.number}: {error}") from error


def numbers_of(names: Collection[str] | Sequence[str]) -> NDArray[np.int32]:
    """(F,) those of the recordings of frames of these names."""
    return np.array([number_of(name) for name in names], dtype=np.int32)
