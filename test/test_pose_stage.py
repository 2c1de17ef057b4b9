"""The stage of `vloc map` that checks poses: what it keeps, and how frames that were held out go with the others."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.map_scenes import Told

from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.subset import Subset, split_held_out
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.evaluation.report.map_report import pose_section
from vloc_ros.geometry.camera import Camera
from vloc_ros.mapping.loop_closure import Disagreement, LoopClosure
from vloc_ros.mapping.place_geometry import Place
from vloc_ros.training.pram.options import PRAMOptions
from vloc_ros.training.stages.pose_stage import CheckedPoses, PoseStage
from vloc_ros.training.stages.source_stage import Sources
from vloc_ros.training.stages.summary import pose_summary

FRAMES = 40


@dataclass(frozen=True)
class Along:
    """Frames along x, one a metre."""

    has_depth: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{index:02d}" for index in range(FRAMES))

    def __len__(self) -> int:
        return FRAMES

    def place(self, index: int) -> str:
        return ""

    def camera(self, index: int) -> Camera:
        return Camera(8, 6, 8.0, 8.0, 4.0, 3.0)

    def map_from_camera(self, index: int) -> NDArray[np.float64]:
        return moved(index)

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        image = CameraImage(np.zeros((6, 8, 3), np.uint8), self.camera(index))
        return Frame(self.names[index], image, self.map_from_camera(index))


def moved(x: float, aside: float = 0.0) -> NDArray[np.float64]:
    pose = np.eye(4)
    pose[:3, 3] = x, aside, 0.0
    return pose


def sources() -> Sources:
    training, held_out = split_held_out(Along(), block=2, share=0.1)
    return Sources("along", training, held_out, (Place("", training),))


def bent(of: Sources) -> LoopClosure:
    """The path, bent aside by a tenth of the way."""
    training = of.training
    assert isinstance(training, Subset)
    recorded = np.stack([moved(index) for index in training.indices])
    adjusted = np.stack([moved(index, 0.1 * index) for index in training.indices])
    told = Disagreement("00", "39", 3.9, 0.5)
    return LoopClosure(adjusted, recorded, 50, 20, 9.5, 1.25, (told,), (replace(told, metres=7.0),))


def test_all_frames_have_the_adjusted_poses_held_out_ones_too() -> None:
    before = sources()
    after = CheckedPoses({"": bent(before)}).applied(before)
    assert after.training.names == before.training.names
    assert len(after.held_out) == 4
    for dataset in (after.training, after.held_out, after.places[0].frames):
        for index, name in enumerate(dataset.names):
            expected = moved(int(name), 0.1 * int(name))
            np.testing.assert_allclose(dataset.map_from_camera(index), expected, atol=1e-9)
            np.testing.assert_array_equal(dataset.frame(index).map_from_camera, dataset.map_from_camera(index))


def test_held_out_frames_at_either_end_go_with_the_nearest_one() -> None:
    whole = Along()
    ends = Sources(
        "along", Subset(whole, range(5, 35)), Subset(whole, [0, 39]), (Place("", Subset(whole, range(5, 35))),)
    )
    after = CheckedPoses({"": bent(ends)}).applied(ends)
    np.testing.assert_allclose(after.held_out.map_from_camera(0), moved(0, 0.5), atol=1e-9)
    np.testing.assert_allclose(after.held_out.map_from_camera(1), moved(39, 3.4), atol=1e-9)


def test_poses_that_stay_leave_the_sources_as_they_are() -> None:
    before = sources()
    recorded = bent(before).recorded
    assert CheckedPoses({"": LoopClosure(recorded, recorded, 50, 20, 1.0)}).applied(before) is before


def test_what_was_found_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = sources()
    stage = PoseStage(PRAMOptions(), True, of)
    found = bent(of)
    monkeypatch.setattr("vloc_ros.training.stages.pose_stage.PoseStage._found", lambda *_: {"": found})
    told = Told()
    stage.make(tmp_path, told)
    assert told.lines[0] == "two passes disagreed before: 00 and 39: 3.90 m, 0.5 deg"
    assert told.lines[1] == "two passes disagree, or two places look alike: 00 and 39: 7.00 m, 0.5 deg"
    assert stage.is_there(tmp_path)
    read = stage.load(tmp_path)
    again = read.places[""]
    np.testing.assert_array_equal(again.map_from_camera, found.map_from_camera)
    np.testing.assert_array_equal(again.recorded, found.recorded)
    assert again.describe() == found.describe() == stage.describe(tmp_path, read)
    assert (again.disagreements, again.left) == (found.disagreements, found.left)
    (tmp_path / "poses.json").write_text("{}")
    with pytest.raises(DatasetError, match="not a complete record of poses"):
        stage.load(tmp_path)


@pytest.mark.parametrize(("loops", "reads_depth"), [("off", True), ("auto", False), ("auto", True)])
def test_nothing_is_looked_at_without_depth_or_where_nobody_wants_it(
    loops: str, reads_depth: bool, tmp_path: Path
) -> None:
    stage = PoseStage(PRAMOptions(loops=loops), reads_depth, sources())  # type: ignore[arg-type]
    made = stage.make(tmp_path, Told())
    assert not made.places
    assert stage.describe(tmp_path, stage.load(tmp_path)) == "as recorded, not checked"
    assert stage.inputs() == {"method.loops": loops}


def test_an_unknown_way_to_close_loops_is_refused() -> None:
    with pytest.raises(ConfigError, match="loops 'perhaps' is unknown, known are auto, off"):
        PRAMOptions(loops="perhaps")  # type: ignore[arg-type]


def test_the_map_and_its_report_say_how_far_poses_moved_and_what_disagrees() -> None:
    summary = pose_summary(CheckedPoses({"": bent(sources())}))["loops"]
    assert (summary["pairs"], summary["of_two_passes"], summary["adjusted"]) == (50, 20, True)
    assert summary["moved_m"]["most"] == pytest.approx(3.9)
    assert summary["turned_deg"] == {"median": 0, "most": 0}
    text = pose_section("loops", summary)
    assert "<h2>Poses</h2>" in text
    for expected in ("3.900", "7.000", "passes that disagreed before", "places that look alike", "most 3.9"):
        assert expected in text
    assert "<h2>Poses: place hall</h2>" in pose_section("loops_hall", summary)
    assert pose_section("dataset", "folder") == ""
    assert "anything" in pose_section("loops", {"disagreements": ["anything"]})  # what people have written there
