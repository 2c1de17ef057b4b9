"""`vloc map --update`: a second recording of the rendered room, with poses in a frame of its own."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.map_scenes import VSNET, options_in, quick

from vloc_ros.core.types import PoseEstimate
from vloc_ros.datasets import Dataset, Frame, open_dataset, recordings
from vloc_ros.datasets.recordings import RecordingList, RecordingSource, load_recordings, number_of, open_recordings
from vloc_ros.datasets.synthetic_room import CAMERA, RoomFrames
from vloc_ros.datasets.wrapper import DatasetWrapper
from vloc_ros.errors import ConfigError, DatasetError, MapError, VlocError
from vloc_ros.evaluation.corruptions import Corrupted, mirrored
from vloc_ros.evaluation.metrics import RIGHT_RECALL
from vloc_ros.evaluation.report import map_report
from vloc_ros.evaluation.report.map_report import write_map_report
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.transforms import from_quaternion, invert
from vloc_ros.localizer import load_localizer
from vloc_ros.maps import read_map
from vloc_ros.training import hidden_samples
from vloc_ros.training import update_map as module
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.pram.options import PRAMOptions
from vloc_ros.training.stages import source_stage
from vloc_ros.training.stages.build_map import build_map
from vloc_ros.training.stages.stage_records import content_of
from vloc_ros.training.update_map import update_map, worse
from vloc_ros.training.update_options import UpdateOptions

PRAM = PRAMOptions(features="sift", points=1200, landmarks=12, loops="off")
SMALL = CAMERA.resized(320, 240)
MOVED = from_quaternion([0.0, 0.0, 0.6, 0.8], [3.0, -2.0, 0.1])  # the new recording's frame from the room's


@dataclass(frozen=True, eq=False)
class Moved(DatasetWrapper):
    """Frames of the room with poses in another frame."""

    def map_from_camera(self, index: int) -> np.ndarray:
        return MOVED @ self.parent.map_from_camera(index)

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        return replace(self.parent.frame(index, depth=depth), map_from_camera=self.map_from_camera(index))


def open_small(kind: str, root: Path | None, split: str, poses: Any = None) -> Dataset:
    """Rooms rendered in small images; recordings of splits that say so are in another frame, or of another place: a
    mirrored room is one."""
    found = open_dataset(kind, root, split, poses)
    small = replace(found, intrinsics=SMALL) if isinstance(found, RoomFrames) else found
    if (name := Path(split).name) == "other.txt":
        small = Corrupted(small, mirrored)
    return Moved(small) if name in ("second.txt", "other.txt") else small


@pytest.fixture(autouse=True, scope="module")
def _quick() -> Iterator[None]:
    """Few frames measure how errors grow."""
    with quick(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(recordings, "open_dataset", open_small)
        patch.setattr(source_stage, "open_dataset", open_small)
        patch.setattr(hidden_samples, "MOST_FRAMES", 4)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of the room, as one of a building, and a split of other views."""
    directory = tmp_path_factory.mktemp("old")
    second = range(1, 49, 3)
    for name, views in (("first", range(0, 48, 3)), ("second", second), ("other", second)):
        (directory / f"{name}.txt").write_text("\n".join(f"train/{index:06d}" for index in views))
    build_map(pram_in(directory, split=str(directory / "first.txt"), surface=True))
    return directory


def pram_in(directory: Path, **changes: Any) -> MapOptions:
    return options_in(directory, **{"method": PRAM, "width": 320, "novel_views": None, **changes})


def update_in(directory: Path, made: Path, **changes: Any) -> MapOptions:
    wanted = UpdateOptions(made / "map", changes.pop("old_workdir", made / "work"), 5)
    return pram_in(directory, **{"split": str(made / "second.txt"), "update": wanted, **changes})


def refusal(options: MapOptions, kind: type[VlocError]) -> str:
    with pytest.raises(kind) as error:
        update_map(options)
    assert "\n" not in str(error.value)
    assert not options.out.exists()
    return str(error.value)


@pytest.fixture(scope="module")
def updated(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("new")
    before = content_of(made)
    update_map(update_in(directory, made))
    assert content_of(made) == before, "the old map and its work directory stay as they were"
    return directory


def test_the_new_map_is_in_the_frame_of_the_old_one(updated: Path, made: Path) -> None:
    newest = load_recordings(updated / "work" / module.LISTED).sources[-1]
    error = pose_error(np.reshape(newest.place_from_recording, (4, 4)), invert(MOVED))
    assert error.translation_m < 0.02
    assert np.degrees(error.rotation_rad) < 0.3
    frame = open_small("synthetic_room", None, str(made / "first.txt")).frame(7)
    result = load_localizer(updated / "map").localize(frame.image)
    assert isinstance(result, PoseEstimate)
    assert pose_error(result.map_from_camera, frame.map_from_camera).translation_m < 0.02


def test_the_new_map_has_a_surface_as_the_old_one_has(updated: Path, made: Path) -> None:
    """In the frame of the old map."""
    old, new = (read_map(directory / "map").landmark_map.surface for directory in (made, updated))
    assert old is not None
    assert new is not None
    nearest = np.linalg.norm(old.positions[::50, None] - new.positions[None], axis=2).min(axis=1)
    assert np.median(nearest) < new.voxel_m


def test_the_map_and_its_report_say_what_changed(updated: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = read_map(updated / "map")
    said = stored.landmark_map.manifest.training["update"]
    points = said["points"]
    assert said["of"] == read_map(made / "map").map_id
    assert said["recordings"] == {"1": 16, "2": 16}
    assert points["kept"] > 200
    assert points["gone"] + points["unseen"] < 0.01 * points["kept"]
    assert not any(row["changed"] for row in said["landmarks"])
    assert (said["left_out"], said["retired_views"], said["retired_frames"]) == ([], [], 0)
    # Pictures, and where a camera can see enough, take most of a report's time.
    monkeypatch.setattr(Figure, "savefig", lambda _, file, **__: file.write("<svg></svg>"))
    monkeypatch.setattr(map_report, "deployment_section", lambda *_: "")
    write_map_report(updated / "report.html", "map", stored)
    report = (updated / "report.html").read_text()
    assert "What changed" in report
    assert "recording 2" in report


def test_an_update_can_be_updated(updated: Path) -> None:
    listed = module._recordings_of(UpdateOptions(updated / "map", updated / "work", 5), read_map(updated / "map"))
    assert [source.number for source in listed.sources] == [1, 2]
    frames = open_recordings(updated / "work" / module.LISTED, "all")
    training, held_out = frames.split_held_out()
    assert len(training) + len(held_out) == len(frames) == 32
    assert {number_of(name) for name in held_out.names} == {1, 2}


def test_a_map_that_is_worse_is_kept_aside(
    updated: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(updated / "work", tmp_path / "work")
    candidate = tmp_path / "work" / module.CANDIDATE
    monkeypatch.setattr(module, "build_map", lambda *_: None)
    monkeypatch.setattr(module, "worse", lambda *_: "are worse")
    text = refusal(update_in(tmp_path, made), MapError)
    assert text == f"update: held-out frames of recording 1 are worse; the map is kept in {candidate}"


GOOD = {"frames": 40, "median_translation_m": 0.01, "median_rotation_deg": 0.1, RIGHT_RECALL: 0.95}


def test_worse_is_said_beyond_chance() -> None:
    assert not worse(GOOD, GOOD)
    assert not worse(GOOD, {**GOOD, RIGHT_RECALL: 0.925})
    assert "95%" in worse(GOOD, {**GOOD, RIGHT_RECALL: 0.8})
    assert "1.00 cm in the old map and have 2.00 cm" in worse(GOOD, {**GOOD, "median_translation_m": 0.02})
    lost = {**GOOD, "median_translation_m": None, RIGHT_RECALL: 0.0}
    assert worse(GOOD, lost)
    assert not worse(lost, GOOD), "what the old map could not localize can only become better"


def test_a_recording_of_another_place_is_refused(made: Path, tmp_path: Path) -> None:
    text = refusal(update_in(tmp_path, made, split=str(made / "other.txt")), DatasetError)
    assert text.startswith(f"--update {made / 'map'}: the new recording cannot be aligned to the map: ")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"method": VSNET, "novel_views": 0.0}, "--method vsnet: only maps of pram can be updated, .*"),
        ({"method": replace(PRAM, features="xfeat")}, "--features xfeat: the map .* has sift, an update keeps it"),
        ({"dataset": "images"}, "--dataset images: an update needs a recording with poses and depth"),
        ({"old_workdir": Path("gone")}, "gone: there is no work directory, which says what the map was made from; .*"),
    ],
)  # fmt: skip
def test_what_an_update_cannot_be_of(made: Path, tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=f"^{told}$"):
        update_map(update_in(tmp_path, made, **changes))
    assert not (tmp_path / "map").exists()


def test_work_directories_that_will_not_do(made: Path, tmp_path: Path) -> None:
    assert "is that of the map to update" in refusal(update_in(tmp_path, made, workdir=made / "work"), ConfigError)
    (tmp_path / "old").mkdir()
    for name in ("stages.json", "sources.json"):
        shutil.copy(made / "work" / name, tmp_path / "old" / name)
    path = tmp_path / "old" / "stages.json"
    records = json.loads(path.read_text())
    records["stages"]["sources"]["inputs"] |= {"dataset": "folder", "root": str(tmp_path / "lost")}
    path.write_text(json.dumps(records))
    text = refusal(update_in(tmp_path, made, old_workdir=tmp_path / "old"), DatasetError)
    assert text.startswith(f"{tmp_path / 'old'}: what the map was made from cannot be read again: ")
    del records["stages"]["calibration"]
    path.write_text(json.dumps(records))
    text = refusal(update_in(tmp_path, made, old_workdir=tmp_path / "old"), ConfigError)
    assert "is not the work directory of a finished map" in text


def test_the_work_directory_of_another_map_is_refused(updated: Path, made: Path, tmp_path: Path) -> None:
    text = refusal(update_in(tmp_path, made, old_workdir=updated / "work"), ConfigError)
    assert "is the work directory of a map of other images" in text


def test_lists_of_recordings(tmp_path: Path) -> None:
    path = tmp_path / "recordings.json"
    listed = RecordingList((RecordingSource(1, "synthetic_room", None, "small", None),), ("1/train/000000",), {"a": 1})
    listed.save(path)
    assert load_recordings(path) == listed
    frames = open_recordings(path, "all")
    assert frames.names[0].startswith("1/")
    assert frames.frame(0).name == frames.names[0]
    for damaged in ("{", "[]", '{"format": 2}', path.read_text().replace('"number"', '"nummer"'),
                    path.read_text().replace("1.0", "2.0")):  # fmt: skip
        path.write_text(damaged)
        with pytest.raises(DatasetError, match="not a list of recordings"):
            load_recordings(path)
    with pytest.raises(ConfigError, match="--keep-recordings 1"):
        UpdateOptions(tmp_path, None, 1)
