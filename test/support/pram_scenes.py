"""Maps of PRAM of some views of the rendered rooms: for the tests of `build_map`."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.map_scenes import Told, options_in
from vloc_ros.datasets import Dataset, Frame
from vloc_ros.datasets.wrapper import DatasetWrapper
from vloc_ros.progress import Bar
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.pram.options import PRAMOptions
from vloc_ros.training.stages import source_stage
from vloc_ros.training.stages.build_map import build_map

PRAM = PRAMOptions(features="sift", points=1200, landmarks=12)
VIEWS = range(0, 60, 3)  # of the training path: neighbours see the same


def write_split(path: Path, views: Iterable[int] = VIEWS) -> Path:
    """A split of these views."""
    path.write_text("\n".join(f"train/{index:06d}" for index in views))
    return path


def pram_in(directory: Path, names: Path, **changes: Any) -> MapOptions:
    return options_in(directory, **{"method": PRAM, "split": str(names), "width": 320, "novel_views": None, **changes})


def made_by(options: MapOptions) -> set[str]:
    """The stages that were made, not just read again; all of them were run."""
    told = Told()
    build_map(options, told)
    stages = options.method.stages
    assert tuple(told.stages()) == stages[: stages.index(options.until or "calibration") + 1]
    return {name for name, was_made in told.stages().items() if was_made}


def of_frames(monkeypatch: pytest.MonkeyPatch, frames: Dataset) -> None:
    """A data set of these frames, whatever is asked for."""
    monkeypatch.setattr(source_stage, "open_dataset", lambda *_: frames)


class StoppedAt(Told):
    """Presses Ctrl-C when a bar begins to move."""

    def __init__(self, bar: str) -> None:
        super().__init__()
        self._bar = bar

    @contextmanager
    def bar(self, what: str, start: int = 0) -> Iterator[Bar]:
        def advance(done: int, total: int, note: str = "") -> None:
            if what == self._bar:
                raise KeyboardInterrupt

        yield advance


@dataclass(frozen=True, eq=False)
class Changed(DatasetWrapper):
    """Frames with depth that is so many times too large, or none at 0."""

    depth: float

    @property
    def has_depth(self) -> bool:
        return self.depth > 0

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        frame = self.parent.frame(index, depth=depth)
        scaled = None if frame.depth is None else np.asarray(self.depth * frame.depth, np.float32)
        return replace(frame, depth=scaled)
