"""`vloc map` end to end on a few views of the synthetic room: interrupted, continued, refused, started anew."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.map_scenes import HEIGHT, VOXEL, VSNET, WIDTH, Told, interrupted_at, options_in

from vloc_ros.core.grey import is_grey
from vloc_ros.core.manifest import Place
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets import Dataset, Frame, open_dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.datasets.synthetic_room import CAMERA
from vloc_ros.datasets.wrapper import DatasetWrapper
from vloc_ros.errors import ConfigError, DatasetError, MapError, VlocError
from vloc_ros.evaluation.records import FrameRecord
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.mapping import geometry_kinds
from vloc_ros.mapping.landmarks import Landmarks
from vloc_ros.mapping.novel_views import NovelViews
from vloc_ros.mapping.place_geometry import Geometry, load_geometry
from vloc_ros.mapping.place_regions import Regions, load_regions
from vloc_ros.maps import read_map
from vloc_ros.progress import Advance
from vloc_ros.training.calibrate import Sample, collect_samples
from vloc_ros.training.frames import build_frames, open_frames
from vloc_ros.training.hscnet.options import HSCNetOptions
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.stages import calibration_stage, source_stage
from vloc_ros.training.stages.build_map import build_map
from vloc_ros.training.stages.stage_records import load_records
from vloc_ros.training.vsnet.recipe import VSNetRecipe

pytestmark = pytest.mark.usefixtures("quickly")


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves that Ctrl-C ended after three of its five iterations."""
    directory = tmp_path_factory.mktemp("interrupted")
    with pytest.raises(KeyboardInterrupt):
        build_map(options_in(directory), interrupted_at(3))
    return directory


@pytest.fixture
def place(interrupted: Path, tmp_path: Path) -> Path:
    """A copy of it, to do with as one likes."""
    shutil.copytree(interrupted, tmp_path / "run")
    return tmp_path / "run"


def landmarks_in(directory: Path) -> Landmarks:
    """Of the one place in a work directory."""
    (place,) = load_regions(directory / "work" / "regions.npz")
    return place.landmarks


def iteration_in(directory: Path) -> int:
    return int(torch.load(directory / "work" / "checkpoint.pt", weights_only=True)["progress"]["iteration"])


def refusal(options: MapOptions, kind: type[VlocError]) -> str:
    with pytest.raises(kind) as error:
        build_map(options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_ctrl_c_leaves_a_checkpoint_and_no_map(interrupted: Path) -> None:
    assert iteration_in(interrupted) == 3
    assert not (interrupted / "map").exists()
    frames = open_frames(interrupted / "work" / "frames")
    assert frames.images.shape == (len(frames), HEIGHT, WIDTH, 3)
    assert frames.cells.shape == (len(frames), HEIGHT // 2, WIDTH // 2)
    assert len(frames) == 22  # of 24, two are held out
    assert (frames.cells > 0).mean() > 0.5
    assert frames.cells.max() <= len(landmarks_in(interrupted))
    assert not frames.places.any()


def test_views_from_beside_the_path_are_trained_on_and_are_no_mapping_views(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calibrated_on: list[int] = []

    def collect(
        localizer: Localizer,
        held_out: Dataset,
        novel: Sequence[NovelViews],
        clean: Sequence[FrameRecord],
        advance: Advance,
    ) -> list[Sample]:
        calibrated_on.extend(len(views) for views in novel)
        return collect_samples(localizer, held_out, novel, clean, advance)

    monkeypatch.setattr(calibration_stage, "collect_samples", collect)
    build_map(options_in(tmp_path, novel_views=None))
    frames = open_frames(tmp_path / "work" / "frames")
    assert len(frames) == 22 + 11
    assert [name for name in frames.names if "novel" in name] == list(frames.names[22:])
    assert (frames.cells[22:] > 0).mean(axis=(1, 2)).min() > 0.1
    landmark_map = read_map(tmp_path / "map").landmark_map
    np.testing.assert_allclose(landmark_map.mapping_views, frames.map_from_camera[:22], atol=1e-5)
    training = landmark_map.manifest.training
    assert training["novel_views"] == 0.5
    smallest, largest = training["field_of_view_deg"]
    assert smallest == largest == pytest.approx(CAMERA.field_of_view_deg)
    assert training["focal_length_px"] == [CAMERA.fx, CAMERA.fx]
    assert training["arithmetic"] in ("bfloat16", "float32")
    assert calibrated_on == [6]


def test_a_run_of_an_earlier_version_is_refused_and_can_be_started_anew(place: Path) -> None:
    (place / "work" / "stages.json").rename(place / "work" / "options.json")
    line = refusal(options_in(place), ConfigError)
    assert f"{place / 'work'}: holds a run of an earlier version" in line
    assert "--fresh starts anew" in line
    assert iteration_in(place) == 3
    build_map(options_in(place, fresh=True, until="sources"))
    assert not (place / "work" / "checkpoint.pt").exists()


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


def test_labels_show_their_landmarks(interrupted: Path) -> None:
    """The point that a pixel shows is within its landmark's extent, by the true depth of the frame."""
    landmarks = landmarks_in(interrupted)
    frames, dataset = open_frames(interrupted / "work" / "frames"), open_dataset("synthetic_room", None, "small")
    frame = dataset.frame(dataset.names.index(frames.names[0]), depth=True)
    assert frame.depth is not None
    points = frame.image.camera.rays() * frame.depth[..., None]
    points = points @ frame.map_from_camera[:3, :3].T + frame.map_from_camera[:3, 3]
    rows = ((np.arange(HEIGHT // 2) + 0.5) * 480 / (HEIGHT // 2)).astype(int)
    seen, labels = points[rows][:, 4::8], frames.cells[0].astype(int)
    distance = np.linalg.norm(seen - landmarks.positions[labels - 1], axis=-1)
    assert (distance < landmarks.extents[labels - 1] + 2 * VOXEL)[labels > 0].mean() > 0.98


def test_the_same_command_goes_on_and_makes_a_map(place: Path) -> None:
    artefacts = [place / "work" / name for name in ("geometry.npz", "regions.npz", "frames")]
    before, told = [path.stat().st_mtime_ns for path in artefacts], Told()
    build_map(options_in(place), told)
    assert "going on from iteration 3, 60 % done" in told.lines
    assert [path.stat().st_mtime_ns for path in artefacts] == before
    assert iteration_in(place) == 5
    manifest = read_map(place / "map").landmark_map.manifest
    assert (*manifest.image_size, manifest.models["network"].grid.stride) == (WIDTH, HEIGHT, 4)
    assert manifest.training["iterations"] == 5
    assert (manifest.training["preset"], manifest.training["loss"]) == ("mobile", "softmax")
    assert manifest.training["images"] == "colour"
    assert manifest.places == (Place("map", "map"),)
    assert manifest.accuracy["held_out_frames"] == 2
    assert {"recall_5cm_5deg", "rejected"} <= manifest.accuracy.keys()
    assert manifest.accuracy["recall_5cm_5deg"] < 0.5, "of five iterations"
    assert any(line.startswith("warning: only 0 % of the held-out frames are localized") for line in told.lines)
    image = open_dataset("synthetic_room", None, "small").frame(0).image
    assert load_localizer(place / "map").localize(image).timings_ms["total"] > 0


def test_a_map_for_grey_cameras_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calibrated_on: list[Dataset] = []

    def collect(localizer: Localizer, held_out: Dataset, *_: object) -> list[Sample]:
        calibrated_on.append(held_out)
        return []

    monkeypatch.setattr(calibration_stage, "collect_samples", collect)
    build_map(options_in(tmp_path, grey=0.5))
    assert read_map(tmp_path / "map").landmark_map.manifest.training["images"] == "colour and grey"
    (held_out,) = calibrated_on
    assert [is_grey(held_out.frame(index).image.rgb) for index in range(len(held_out))] == [False, True]
    assert "grey=0.5, now it is 1.0" in refusal(options_in(tmp_path, grey=1.0), ConfigError)


def test_a_finished_run_can_be_given_more_networks(place: Path) -> None:
    build_map(options_in(place))
    before = read_map(place / "map").networks["network"]
    build_map(replace(options_in(place), precisions=("float16", "bfloat16")))
    networks = read_map(place / "map").networks["network"]
    assert list(networks) == ["float32", "float16", "bfloat16"]
    assert networks["float32"] == before["float32"]
    options = SessionOptions("onnxruntime", "float16", max_batch=2)
    localizer = load_localizer(place / "map", options)
    dataset = open_dataset("synthetic_room", None, "small")
    assert len(list(localizer.localize_all(dataset.frame(index).image for index in range(3)))) == 3


def test_other_options_on_the_same_work_directory(place: Path) -> None:
    options = options_in(place)
    line = refusal(replace(options, method=replace(VSNET, patch_size=0.5)), ConfigError)
    assert f"method.patch_size={VSNET.patch_size}, now it is 0.5" in line
    assert "--fresh" in line
    other_seed = replace(options.training, seed=1)
    assert "training.seed=0" in refusal(replace(options, training=other_seed), ConfigError)
    assert "method.name=vsnet, now it is hscnet" in refusal(replace(options, method=HSCNetOptions()), ConfigError)
    assert iteration_in(place) == 3


def test_fresh_starts_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = landmarks_in(place)
    (mapped,) = load_geometry(place / "work")
    # it takes its time, and did before
    monkeypatch.setattr(geometry_kinds, "fuse_depth", lambda *_, **__: mapped.shape)
    with pytest.raises(KeyboardInterrupt):
        build_map(options_in(place, fresh=True, method=replace(VSNET, patch_size=1.2)), interrupted_at(1))
    assert iteration_in(place) == 1
    assert load_records(place / "work").inputs_of("regions")["method.patch_size"] == 1.2
    assert len(landmarks_in(place)) < len(before)


@pytest.mark.parametrize(
    "file", ["geometry.npz", "regions.npz", "frames/cameras.npz", "frames/cells.npy", "checkpoint.pt"]
)
def test_a_damaged_work_directory(place: Path, file: str) -> None:
    path = place / "work" / file
    path.write_bytes(path.read_bytes()[:100])
    line = refusal(options_in(place), VlocError)
    assert str(place / "work") in line
    assert "--fresh" in line


def test_options_that_were_not_written_to_the_end(place: Path) -> None:
    (place / "work" / "stages.json").write_text('{"format": 2, "stages": {"sour')
    assert "--fresh" in refusal(options_in(place), ConfigError)


def test_a_directory_of_something_else_is_never_deleted(tmp_path: Path) -> None:
    options = options_in(tmp_path)
    options.workdir.mkdir()
    (options.workdir / "thesis.tex").write_text("")
    assert "no work directory" in refusal(replace(options, fresh=True), ConfigError)
    options.out.mkdir()
    (options.out / "thesis.tex").write_text("")
    assert "thesis.tex" in refusal(options, MapError)  # said before the training, not after it
    assert (options.workdir / "thesis.tex").exists()


def test_a_work_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file")
    assert str(tmp_path / "work") in refusal(options_in(tmp_path), ConfigError)


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
    landmarks = landmarks_in(tmp_path)
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
