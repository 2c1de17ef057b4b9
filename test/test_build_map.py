"""`vloc map` end to end on a few views of the synthetic room: interrupted, continued, started anew."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.map_scenes import HEIGHT, VOXEL, VSNET, WIDTH, Told, interrupted_at, options_in, refusal

from vloc_ros.core.grey import is_grey
from vloc_ros.core.manifest import Place
from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.synthetic_room import CAMERA
from vloc_ros.errors import ConfigError, MapError, VlocError
from vloc_ros.evaluation.records import FrameRecord
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.mapping import geometry_kinds
from vloc_ros.mapping.landmarks import Landmarks
from vloc_ros.mapping.novel_views import NovelViews
from vloc_ros.mapping.place_geometry import load_geometry
from vloc_ros.mapping.place_regions import load_regions
from vloc_ros.maps import read_map
from vloc_ros.progress import Advance
from vloc_ros.training.frames import open_frames
from vloc_ros.training.hscnet.options import HSCNetOptions
from vloc_ros.training.samples import Sample, collect_samples
from vloc_ros.training.stages import calibration_stage
from vloc_ros.training.stages.build_map import build_map
from vloc_ros.training.stages.stage_records import load_records

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
