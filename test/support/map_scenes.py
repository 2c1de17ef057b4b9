"""Tiny maps of rooms, made in seconds: for the tests of `build_map`, and what it tells of its progress."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from vloc_ros.datasets import Frame
from vloc_ros.datasets.synthetic_room import RoomFrames
from vloc_ros.errors import VlocError
from vloc_ros.evaluation.corruptions import CORRUPTIONS
from vloc_ros.geometry.camera import Camera
from vloc_ros.mapping import geometry_kinds, mesh
from vloc_ros.mapping.surface import fuse_depth
from vloc_ros.progress import Bar
from vloc_ros.training import samples
from vloc_ros.training import trainer as trainer_module
from vloc_ros.training.map_options import MapOptions, TrainingOptions
from vloc_ros.training.method_options import STAGES
from vloc_ros.training.stages import training_stage
from vloc_ros.training.stages.build_map import build_map
from vloc_ros.training.vsnet.options import VSNetOptions

VOXEL = 0.06
WIDTH, HEIGHT = 160, 128  # 160 x 120 in multiples of 16
VSNET = VSNetOptions(patch_size=0.8, embedding=8)
FEW_CORRUPTIONS = tuple(each for each in CORRUPTIONS if each.name in ("occluded_30%", "light_x0.02", "mirrored"))


def options_in(directory: Path, **changes: Any) -> MapOptions:
    """One epoch of the small split of the synthetic room, without views from beside its path."""
    options: dict[str, Any] = {
        "dataset": "synthetic_room",
        "root": None,
        "split": "small",
        "out": directory / "map",
        "workdir": directory / "work",
        "method": VSNET,
        "width": WIDTH,
        "novel_views": 0.0,
        "training": TrainingOptions(epochs=1, batch_size=4),
    }
    return MapOptions(**{**options, **changes})


_RENDERED: dict[tuple[str, str, Camera], Frame] = {}
_render = RoomFrames.frame


def rendered_once(frames: RoomFrames, index: int, *, depth: bool = False) -> Frame:
    """`RoomFrames.frame`, which takes most of the time of these tests."""
    key = frames.plan.name, frames.names[index], frames.intrinsics
    if key not in _RENDERED:
        _RENDERED[key] = _render(frames, index, depth=True)
    return _RENDERED[key] if depth else replace(_RENDERED[key], depth=None)


@contextmanager
def quick() -> Iterator[None]:
    """Coarse surfaces, one measurement, a report of every iteration, frames that are rendered once, a corruption of
    each severity to calibrate with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "CORRUPTIONS", FEW_CORRUPTIONS)
        patch.setattr(samples, "MIRRORED", 3)
        patch.setattr(RoomFrames, "frame", rendered_once)
        patch.setattr(trainer_module, "LOG_EVERY", 1)
        patch.setattr(training_stage, "VALIDATIONS", 2)
        patch.setattr(training_stage, "QUICK_VALIDATIONS", 2)
        patch.setattr(geometry_kinds, "fuse_depth", partial(fuse_depth, voxel_size=VOXEL))
        patch.setattr(mesh, "surface_from_mesh", partial(mesh.surface_from_mesh, voxel_size=VOXEL))
        yield


class Told:
    """A `vloc_ros.progress.Progress` that keeps the `lines`, and presses Ctrl-C in the training after `iteration`."""

    def __init__(self, iteration: int | None = None) -> None:
        self.lines: list[str] = []
        self._iteration = iteration

    def say(self, line: str) -> None:
        self.lines.append(line)

    @contextmanager
    def bar(self, what: str, start: int = 0) -> Iterator[Bar]:
        def advance(done: int, total: int, note: str = "") -> None:
            if what == "training" and note and self._iteration is not None:
                iterations = int(note.split()[0])
                if iterations >= self._iteration:
                    raise KeyboardInterrupt

        yield advance

    def stages(self) -> dict[str, bool]:
        """The stages that were run, and whether each was made, not just read again."""
        found = (line.partition(": ") for line in self.lines)
        return {name: not rest.startswith("unchanged, ") for name, _, rest in found if name in STAGES}


def interrupted_at(iteration: int) -> Told:
    """Presses Ctrl-C."""
    return Told(iteration)


def refusal(options: MapOptions, kind: type[VlocError]) -> str:
    """The one line with which the options are refused."""
    with pytest.raises(kind) as error:
        build_map(options)
    assert "\n" not in str(error.value)
    return str(error.value)
