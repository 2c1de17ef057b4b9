"""`vloc map` end to end: a mesh in the place of depth, and data that no map can be made of."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.map_scenes import VSNET, interrupted_at, options_in, refusal

from vloc_ros.core.types import CameraImage
from vloc_ros.datasets import Dataset, Frame, open_dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.datasets.wrapper import DatasetWrapper
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.mapping.place_geometry import Geometry
from vloc_ros.mapping.place_regions import Regions, load_regions
from vloc_ros.training.frames import build_frames, open_frames
from vloc_ros.training.hscnet.options import HSCNetOptions
from vloc_ros.training.stages import source_stage
from vloc_ros.training.stages.build_map import build_map
from vloc_ros.training.vsnet.recipe import VSNetRecipe

pytestmark = pytest.mark.usefixtures("quickly")


@dataclass(frozen=True, eq=False)
class Changed(DatasetWrapper):
    """Black images; depth that is not there or says nothing."""

    has_depth: bool = True

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        assert self.has_depth or not depth
        camera = self.camera(index)
        image = CameraImage(np.zeros((camera.height, camera.width, 3), np.uint8), camera)
        unknown = np.zeros((camera.height, camera.width), np.float32)
        return Frame(str(index), image, self.map_from_camera(index), unknown)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": HSCNetOptions(preset="small", sparsify=50)}, "sparse points label recorded frames only"),
        ({"mesh": Path("floor.ply")}, "no depth to render from"),
    ],
    ids=["sparse", "no depth"],
)
def test_views_that_cannot_be_moved_are_refused(
    changes: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if "mesh" in changes:
        dataset = Changed(open_dataset("synthetic_room", None, "small"), has_depth=False)
        monkeypatch.setattr(source_stage, "open_dataset", lambda *_: dataset)
    message = refusal(options_in(tmp_path, novel_views=2.0, **changes), ConfigError)
    assert message == f"training: 2 novel views for each frame: {reason}"
    assert not (tmp_path / "work").exists()


def test_a_count_of_moved_views_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    for count in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="novel views for each frame must be 0 or more, and finite"):
            options_in(tmp_path, novel_views=count)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda dataset: Subset(dataset, range(9)), "9 frames are too few"),
        (lambda dataset: Changed(dataset, has_depth=False), "no depth; give a mesh"),
        (lambda dataset: Changed(dataset), "no usable depth"),
    ],
    ids=["too few", "no depth", "blind"],
)
def test_data_that_no_map_can_be_made_of(
    change: Callable[[Dataset], Dataset], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_dataset("synthetic_room", None, "small")
    monkeypatch.setattr(source_stage, "open_dataset", lambda *_: change(dataset))
    assert message in refusal(options_in(tmp_path), DatasetError)
    assert not (tmp_path / "map").exists()


def test_a_mesh_takes_the_place_of_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any depth, landmarks and labels come from the mesh alone; here it has the floor only."""
    corners = "0 0 0\n6 0 0\n6 5 0\n0 5 0\n"
    header = "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    faces = "element face 2\nproperty list uchar int vertex_indices\nend_header\n"
    (tmp_path / "floor.ply").write_text(f"{header}{faces}{corners}3 0 1 2\n3 0 2 3\n")
    dataset = Changed(open_dataset("synthetic_room", None, "small"), has_depth=False)
    monkeypatch.setattr(source_stage, "open_dataset", lambda *_: dataset)
    with pytest.raises(KeyboardInterrupt):
        build_map(replace(options_in(tmp_path), mesh=tmp_path / "floor.ply"), interrupted_at(1))
    (place,) = load_regions(tmp_path / "work" / "regions.npz")
    landmarks = place.landmarks
    assert len(landmarks) > 10
    np.testing.assert_allclose(landmarks.positions[:, 2], 0, atol=0.02)
    assert (open_frames(tmp_path / "work" / "frames").cells > 0).any(axis=(1, 2)).mean() > 0.5


def test_frames_that_do_not_fit_on_the_disk_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    room = open_dataset("synthetic_room", None, "small")
    labeller = VSNetRecipe(VSNET).labeller(Geometry(()), Regions(()))
    with pytest.raises(DatasetError, match=r"take 0\.\d+ GB, 0\.00 GB are free"):
        build_frames([partial(room.frame, 0)] * 24, [""], labeller, 320, 240, tmp_path / "frames")
    assert not (tmp_path / "frames").exists()


@dataclass(frozen=True, eq=False)
class Turned(DatasetWrapper):
    """Poses of cameras with OpenGL's axes."""

    def map_from_camera(self, index: int) -> np.ndarray:
        turned: np.ndarray = self.parent.map_from_camera(index) @ np.diag([1.0, -1.0, -1.0, 1.0])
        return turned

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        return replace(self.parent.frame(index, depth=depth), map_from_camera=self.map_from_camera(index))


def test_poses_and_depth_that_contradict_each_other_end_it_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Turned(open_dataset("synthetic_room", None, "small"))
    monkeypatch.setattr(source_stage, "open_dataset", lambda *_: dataset)
    assert "synthetic_room: poses and depth contradict each other" in refusal(options_in(tmp_path), DatasetError)
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"lock", "stages.json", "sources.json"}
    assert not (tmp_path / "map").exists()
